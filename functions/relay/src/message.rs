//! The JSON of frames to clients.

use serde::Serialize;
use threatstream_domain::{Frame, Timestamp};

use crate::seq::Seq;

/// Writes JSON of a type whose serialisation cannot fail: text, or the product's own types.
fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

/// A frame that comes from the store.
pub(crate) fn stored(out: &mut Vec<u8>, frame: &Frame, seq: &Seq, epoch: &str, at: &str) {
    let data = frame.data.get();
    out.reserve(data.len() + 192);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(frame.kind.as_str().as_bytes());
    out.extend_from_slice(b"\",\"data\":");
    out.extend_from_slice(data.as_bytes());
    out.extend_from_slice(b",\"seq\":");
    put(out, &seq.to_string());
    out.extend_from_slice(b",\"epoch\":");
    put(out, &epoch);
    out.extend_from_slice(b",\"timestamp\":\"");
    out.extend_from_slice(at.as_bytes());
    out.extend_from_slice(b"\"}");
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<&'a str>,
    timestamp: Timestamp,
}

/// Any other frame.
pub(crate) fn frame(kind: &str, data: Option<impl Serialize>, at: Timestamp) -> Vec<u8> {
    let mut out = Vec::new();
    put(
        &mut out,
        &Envelope {
            r#type: kind,
            data,
            seq: None,
            epoch: None,
            timestamp: at,
        },
    );
    out
}

/// A frame that says where in the feed it stands.
pub(crate) fn placed(kind: &str, data: Option<impl Serialize>, seq: &Seq, epoch: &str, at: Timestamp) -> Vec<u8> {
    let mut out = Vec::new();
    put(
        &mut out,
        &Envelope {
            r#type: kind,
            data,
            seq: Some(seq.to_string()),
            epoch: Some(epoch),
            timestamp: at,
        },
    );
    out
}

/// What is wrong with a client's frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Refusal {
    /// The field, as a path such as `topics[2]`; `frame` for all of it.
    pub(crate) field: String,
    /// What is wrong with it, naming what is allowed.
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use threatstream_domain::{FrameKind, Severity};

    use super::*;

    #[test]
    fn a_stored_frame_is_json_with_its_place() {
        let frame = Frame::new(
            FrameKind::NewThreat,
            Some(Severity::High),
            &serde_json::json!({"id": "THR-\"1"}),
        )
        .unwrap();
        let seq = Seq {
            after: "00\"7".into(),
            taken: 3,
        };
        let mut out = Vec::new();
        stored(&mut out, &frame, &seq, "e\\1", "2026-11-22T09:00:00.000Z");
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "type": "new_threat", "data": {"id": "THR-\"1"}, "seq": "00\"7.00003", "epoch": "e\\1",
                "timestamp": "2026-11-22T09:00:00.000Z",
            })
        );
    }
}
