//! What ingest asks before it takes an event: whether it is well formed, and whether its sender named it.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;
use threatstream_domain::Timestamp;

use super::document::{self, MAX_DEPTH};
use crate::{Fields, Value};

/// The longest id taken from an event, in bytes.
const MAX_ID: usize = 512;
/// What alone makes an object one of ours.
const STRONG: &[&str] = &[
    "event_type",
    "source_ip",
    "destination_ip",
    "destination_port",
    "payload",
];
/// What a native event may have beside that.
const WEAK: &[&str] = &["event_id", "timestamp", "protocol", "metadata"];
/// What no native event has: Beats, CloudTrail, Cloud Logging, Suricata, Kubernetes, Elastic documents.
const FOREIGN: &[&str] = &[
    "@timestamp",
    "eventVersion",
    "eventSource",
    "protoPayload",
    "logName",
    "src_ip",
    "dest_ip",
    "flow_id",
    "apiVersion",
    "ecs",
];

/// Why a field keeps an event out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's name; empty when it is the event as a whole.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
}

impl FieldError {
    fn new(field: &str, message: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            message: message.into(),
        }
    }
}

/// Whether these fields are one of our own events rather than a vendor's.
pub(super) fn is_native(fields: &Fields<'_>) -> bool {
    let has = |names: &[&str]| fields.0.iter().any(|(name, _)| names.contains(&name.as_ref()));
    !has(FOREIGN) && (has(STRONG) || fields.0.iter().all(|(name, _)| WEAK.contains(&name.as_ref())))
}

/// Checks one JSON event before it is accepted.
///
/// It must be one JSON object of at most [`MAX_DEPTH`] levels. A native event's addresses, port, time, id and types must
/// be right, and it needs something to detect in; a vendor's fields keep whatever they hold.
///
/// # Errors
/// Every field that is wrong, in the order of the contract.
pub fn check_native(raw: &str) -> Result<(), Vec<FieldError>> {
    let fields = document::object(raw).map_err(|error| {
        let message = if document::too_deep(raw) {
            format!("nested deeper than {MAX_DEPTH} levels")
        } else {
            format!("not a JSON object: {error}")
        };
        vec![FieldError::new("", message)]
    })?;
    if !is_native(&fields) {
        return Ok(());
    }
    let mut errors: Vec<FieldError> = fields
        .0
        .iter()
        .filter_map(|(name, value)| Some(FieldError::new(name, wrong(name, value)?)))
        .collect();
    if errors.is_empty() && !fields.0.iter().any(|(name, value)| detectable(name, value)) {
        let needed = "nothing to detect in: an event needs an event_type, an address, a port or a payload";
        errors.push(FieldError::new("event_type", needed));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// What is wrong with a field, if anything is. Null is absent.
fn wrong(name: &str, value: &Value<'_>) -> Option<&'static str> {
    let text = if let Value::Str(text) = value {
        Some(text.as_ref())
    } else {
        None
    };
    let (right, message) = match name {
        _ if *value == Value::Null => return None,
        "timestamp" => (
            text.is_some_and(|text| text.parse::<Timestamp>().is_ok()),
            "must be an RFC 3339 time from 0001-01-01 to 9999-12-30, such as 2026-11-22T09:00:00Z",
        ),
        "source_ip" | "destination_ip" => (
            text.is_some_and(|text| text.parse::<IpAddr>().is_ok()),
            "must be an IPv4 or IPv6 address",
        ),
        "destination_port" => (
            matches!(value, Value::Int(0..=65_535)),
            "must be a whole number between 0 and 65535",
        ),
        "event_id" => (
            text.is_some_and(acceptable_id),
            "must be text of 1 to 512 bytes without control characters",
        ),
        "event_type" | "protocol" => (text.is_some(), "must be text"),
        "payload" | "metadata" => (matches!(value, Value::Map(_)), "must be an object"),
        _ => return None,
    };
    (!right).then_some(message)
}

/// Whether a rule could see anything here.
fn detectable(name: &str, value: &Value<'_>) -> bool {
    let says_something = match value {
        Value::Null => false,
        Value::Str(text) => !text.trim().is_empty(),
        Value::List(values) => !values.is_empty(),
        Value::Map(fields) => !fields.0.is_empty(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => true,
    };
    says_something && !["event_id", "timestamp", "metadata"].contains(&name)
}

fn acceptable_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID && !id.chars().any(char::is_control)
}

/// The id that a vendor gave the event: CloudTrail's `eventID`, Cloud Logging's `logName`, `timestamp` and `insertId`
/// joined by `/`, a native event's `event_id`. `None` when it has none that is text of at most 512 bytes without control
/// characters. Looks at the top level alone, and only in text that holds one of these names.
#[must_use]
pub fn vendor_id(raw: &str) -> Option<Cow<'_, str>> {
    let bytes = raw.as_bytes();
    let named = |name: &str| memchr::memmem::find(bytes, name.as_bytes()).is_some();
    if !document::looks_like_object(raw) || !(named("\"eventID\"") || named("\"insertId\"") || named("\"event_id\"")) {
        return None;
    }
    let [mut event_id, mut aws, mut source, mut insert, mut log, mut time] = [const { None::<Span> }; 6];
    top_level(bytes, |name, value| {
        let slot = match name {
            b"event_id" => &mut event_id,
            b"eventID" => &mut aws,
            b"eventSource" | b"eventType" => &mut source,
            b"insertId" => &mut insert,
            b"logName" => &mut log,
            b"timestamp" => &mut time,
            _ => return,
        };
        if slot.is_none() {
            *slot = Some(value);
        }
    });
    let id = match (source.and(aws), log.zip(time).zip(insert)) {
        (Some(aws), _) => text(aws.get_in(raw))?,
        (None, Some(((log, time), insert))) => {
            let [log, time, insert] = [log, time, insert].map(|value| text(value.get_in(raw)));
            Cow::Owned(joined(&log?, &time?, &insert?))
        }
        (None, None) => text(event_id?.get_in(raw))?,
    };
    acceptable_id(&id).then_some(id)
}

/// How Cloud Logging's three names make one.
pub(super) fn joined(log: &str, time: &str, insert: &str) -> String {
    format!("{log}/{time}/{insert}")
}

/// What a JSON text says, borrowed when nothing in it is escaped.
fn text(json: Option<&str>) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(json?).ok().map(|text| text.0)
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Where a value lies in the text.
#[derive(Clone, Copy)]
struct Span(usize, usize);

impl Span {
    fn get_in(self, raw: &str) -> Option<&str> {
        raw.get(self.0..self.1)
    }
}

/// Shows each name of the outermost object, as written, with the text of its value when that is text.
fn top_level<'a>(bytes: &'a [u8], mut show: impl FnMut(&'a [u8], Span)) {
    let (mut depth, mut name, mut at) = (0_usize, None, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let Some(end) = end_of_text(bytes, at) else { return };
                if depth == 1 {
                    match name.take() {
                        Some(name) => show(name, Span(at, end)),
                        None if followed_by_colon(bytes, end) => name = Some(&bytes[at + 1..end - 1]),
                        None => {}
                    }
                }
                at = end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 1 => name = None,
            _ => {}
        }
        at += 1;
    }
}

/// Behind the closing quote of the text that opens here.
fn end_of_text(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn followed_by_colon(bytes: &[u8], at: usize) -> bool {
    bytes[at..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}
