//! Any JSON object of no known vendor: its fields as they are, and the ECS that the usual names give away.

use std::net::IpAddr;

use threatstream_domain::Timestamp;

use super::{Context, Format, blank, calendar};
use crate::{Event, Fields, LogSource, Value};

/// What senders call the same thing, in the order of trust.
const NAMES: &[(&str, &[&str])] = &[
    (
        "source.ip",
        &[
            "source.ip",
            "source_ip",
            "src_ip",
            "srcip",
            "client_ip",
            "remote_addr",
            "id.orig_h",
            "ip",
        ],
    ),
    ("source.port", &["source.port", "source_port", "src_port", "id.orig_p"]),
    (
        "destination.ip",
        &[
            "destination.ip",
            "destination_ip",
            "dest_ip",
            "dst_ip",
            "dstip",
            "id.resp_h",
        ],
    ),
    (
        "destination.port",
        &[
            "destination.port",
            "destination_port",
            "dest_port",
            "dst_port",
            "id.resp_p",
        ],
    ),
    ("user.name", &["user.name", "username", "user_name", "user"]),
    ("host.name", &["host.name", "hostname", "host"]),
    ("event.action", &["event.action", "event_type", "action"]),
    ("message", &["message", "msg"]),
];
const TIMES: &[&str] = &["@timestamp", "timestamp", "time", "ts", "eventTime", "date"];

#[expect(clippy::unnecessary_wraps, reason = "the registry's shape")]
pub(super) fn decode<'a>(raw: &'a str, fields: Fields<'a>, _: Context) -> Result<Event<'a>, Fields<'a>> {
    let mut event = blank(Format::Json, raw, LogSource::default());
    event.time = TIMES.iter().find_map(|name| time(fields.path(name)?));
    for (name, candidates) in NAMES {
        let found = candidates
            .iter()
            .filter_map(|candidate| fields.path(candidate))
            .find(|value| fits(name, value));
        if let Some(value) = found {
            event.ecs.push(*name, value.clone());
        }
    }
    event.original = fields;
    Ok(event)
}

/// Whether the value is what the field is for.
fn fits(name: &str, value: &Value<'_>) -> bool {
    match value {
        Value::Str(text) if name.ends_with(".ip") => text.parse::<IpAddr>().is_ok(),
        Value::Str(text) if name.ends_with(".port") => text.parse::<u16>().is_ok(),
        Value::Str(text) => !text.is_empty(),
        Value::Int(port) => name.ends_with(".port") && u16::try_from(*port).is_ok(),
        _ => false,
    }
}

/// A time as text, or as seconds, milliseconds, microseconds or nanoseconds since 1970, by its size.
fn time(value: &Value<'_>) -> Option<Timestamp> {
    match value {
        Value::Str(text) => calendar::iso(text),
        Value::Int(number) => match number.unsigned_abs() {
            0..100_000_000_000 => Some(Timestamp::from_secs(*number)),
            100_000_000_000..100_000_000_000_000 => Some(Timestamp::from_millis(*number)),
            100_000_000_000_000..100_000_000_000_000_000 => Some(Timestamp::from_micros(*number)),
            _ => Some(Timestamp::from_micros(number / 1000)),
        },
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast saturates, and the time is held in its range"
        )]
        Value::Float(seconds) => Some(Timestamp::from_micros((seconds * 1e6) as i64)),
        _ => None,
    }
}

/// The field as borrowed text, when it is text with something in it.
pub(super) fn text<'f, 'a>(fields: &'f Fields<'a>, path: &str) -> Option<&'f std::borrow::Cow<'a, str>> {
    match fields.path(path) {
        Some(Value::Str(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Copies fields that are text from where the vendor has them to where ECS wants them.
pub(super) fn map_text<'a>(original: &Fields<'a>, ecs: &mut Fields<'a>, names: &[(&str, &'static str)]) {
    for (path, name) in names {
        if let Some(text) = text(original, path) {
            ecs.push(*name, Value::Str(text.clone()));
        }
    }
}
