//! The record in the log: an envelope around the untouched original.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// An event is at most this many bytes.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// An `event_id` is at most this many bytes.
pub const MAX_EVENT_ID_BYTES: usize = 512;

/// What a record of `security.raw.logs` holds, as JSON. Rules see what is decoded from `raw`, and nothing else of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<'a> {
    /// The sender's id, or one that follows from the request, or a new one.
    #[serde(borrow)]
    pub event_id: Cow<'a, str>,
    /// The decoder to use; `auto` asks every one.
    #[serde(borrow)]
    pub format: Cow<'a, str>,
    /// When ingest took it.
    pub received_at: Timestamp,
    /// Who sent it, as the authentication knows them.
    #[serde(borrow)]
    pub sender: Cow<'a, str>,
    /// The event, byte for byte (invalid UTF-8 replaced).
    #[serde(borrow)]
    pub raw: Cow<'a, str>,
}

impl<'a> Envelope<'a> {
    /// Reads a record's value; `None` when it is no envelope (a producer may write bare events).
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The record's value.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.raw.len() + self.raw.len() / 8 + 160);
        // Text and a time cannot fail to serialise.
        serde_json::to_writer(&mut bytes, self).unwrap_or_default();
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let envelope = Envelope {
            event_id: "e\"1".into(),
            format: "auto".into(),
            received_at: "2026-11-22T09:00:00.123Z".parse().unwrap(),
            sender: "local".into(),
            raw: "{\"a\":\"\u{1b}[31m\\n\"}".into(),
        };
        let bytes = envelope.to_bytes();
        assert_eq!(Envelope::from_bytes(&bytes), Some(envelope));
        assert_eq!(Envelope::from_bytes(b"Mar 27 16:16:42 host su[1]: x"), None);
    }
}
