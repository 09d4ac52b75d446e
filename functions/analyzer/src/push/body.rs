//! Reading what a connector posts.
//!
//! An array of `{key, value, topic, partition, offset, timestamp}`, one such object, an array of bare values, or one bare
//! value. Nothing here fails: what cannot be read is handed on as that, with the reason.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use threatstream_domain::{Envelope, Timestamp};

/// More records than this in one body are refused: a connector sends thousands at most.
pub const MAX_RECORDS: usize = 50_000;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One thing that was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// A record of a topic, with its place.
    Record(PushedRecord),
    /// A value of which nobody says where it lies in the log; not empty.
    Bare(Bytes),
    /// Bytes that are none of these, and why.
    Unreadable(Bytes, String),
}

/// A record of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedRecord {
    /// The topic, when it is named.
    pub topic: Option<String>,
    /// Its partition.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// When the log took it, when that is told.
    pub timestamp: Option<Timestamp>,
    /// Its key; empty when it has none.
    pub key: String,
    /// Its value; empty when it has none.
    pub value: Bytes,
}

/// A body has more than [`MAX_RECORDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_RECORDS} records in one request")]
pub struct TooMany;

/// What a body holds, in its order.
///
/// # Errors
/// [`TooMany`], and nothing else.
pub fn read(body: &[u8]) -> Result<Vec<Pushed>, TooMany> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(body);
    if !text.starts_with('[') {
        return Ok(vec![match serde_json::from_str::<&RawValue>(&text) {
            Ok(raw) => element(raw.get()),
            Err(error) if text.starts_with('{') => unreadable(&text, format!("not JSON: {error}")),
            // A line of a log, sent as it is.
            Err(_) => Pushed::Bare(Bytes::from(text.into_owned())),
        }]);
    }
    match serde_json::from_str::<Vec<&RawValue>>(&text) {
        Ok(list) if list.len() > MAX_RECORDS => Err(TooMany),
        Ok(list) => Ok(list.into_iter().map(|raw| element(raw.get())).collect()),
        // A line of a log may begin with a bracket: one that looks like the time, or a program's name.
        Err(_) if !looks_like_a_list(&text) => Ok(vec![Pushed::Bare(Bytes::from(text.into_owned()))]),
        Err(error) => Ok(vec![unreadable(&text, format!("not JSON: {error}"))]),
    }
}

/// `[` and then what begins a record or a string.
fn looks_like_a_list(text: &str) -> bool {
    let inside = text[1..].trim_ascii_start();
    inside.starts_with(['{', '[', '"', ']']) || inside.is_empty()
}

fn unreadable(text: &str, reason: String) -> Pushed {
    Pushed::Unreadable(Bytes::copy_from_slice(text.as_bytes()), reason)
}

/// A record as connectors write it. An object with any other field is an event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow, default)]
    key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    topic: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    partition: Option<&'a RawValue>,
    #[serde(borrow, default)]
    offset: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(rename = "headers", default)]
    _headers: serde::de::IgnoredAny,
}

/// One element of the body: the text of one JSON value.
fn element(text: &str) -> Pushed {
    let wire = match serde_json::from_str::<Wire<'_>>(text) {
        Ok(wire) if wire.topic.is_some() || wire.partition.is_some() || wire.offset.is_some() => wire,
        _ => return bare(value(text), text),
    };
    let (partition, offset) = match (wire.partition, wire.offset) {
        (Some(partition), Some(offset)) => (partition.get(), offset.get()),
        _ => return bare(value(wire.value.get()), text),
    };
    let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse()) else {
        return unreadable(text, "partition and offset must be whole numbers".to_owned());
    };
    Pushed::Record(PushedRecord {
        topic: wire.topic.map(Cow::into_owned),
        partition,
        offset,
        timestamp: wire.timestamp.and_then(|raw| time(raw.get())),
        key: wire
            .key
            .map(|raw| String::from_utf8_lossy(&value(raw.get())).into_owned())
            .unwrap_or_default(),
        value: value(wire.value.get()),
    })
}

fn bare(value: Bytes, text: &str) -> Pushed {
    if value.trim_ascii().is_empty() {
        return unreadable(text, "the value is empty".to_owned());
    }
    Pushed::Bare(value)
}

/// The value's bytes: a string's text, or the envelope that it is the base64 of; any other value's JSON text; nothing for null.
fn value(text: &str) -> Bytes {
    match serde_json::from_str::<Cow<'_, str>>(text) {
        Ok(string) => envelope(&string).unwrap_or_else(|| Bytes::from(string.into_owned())),
        Err(_) if text == "null" => Bytes::new(),
        Err(_) => Bytes::copy_from_slice(text.as_bytes()),
    }
}

/// The envelope that a text is the base64 of: so a connector writes a record whose value it knows as bytes.
fn envelope(text: &str) -> Option<Bytes> {
    // An envelope is an object: the base64 of a brace and a quote or a blank.
    if !text.starts_with('e') {
        return None;
    }
    let bytes = BASE64.decode(text).ok()?;
    Envelope::from_bytes(&bytes)?;
    Some(bytes.into())
}

/// Milliseconds since 1970, as the log counts, or RFC 3339.
fn time(text: &str) -> Option<Timestamp> {
    match text.parse::<i64>() {
        Ok(millis) => Some(Timestamp::from_millis(millis)),
        Err(_) => serde_json::from_str(text).ok(),
    }
}

#[cfg(test)]
mod tests;
