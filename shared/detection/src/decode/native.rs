//! Our own events: JSON with an `event_type`, addresses, and a `payload` to judge by.
//!
//! `metadata` stays among the original fields and goes nowhere else: what a sender says about an event there is not
//! evidence.

use super::ingest::is_native;
use super::{Context, Format, blank, json, logsource, push_source};
use crate::{Event, Fields, Value};

const FIELDS: &[(&str, &str)] = &[
    ("event_type", "event.action"),
    ("event_id", "event.id"),
    ("payload.user", "user.name"),
    ("payload.username", "user.name"),
    ("payload.user_name", "user.name"),
    ("payload.host", "host.name"),
    ("payload.hostname", "host.name"),
    ("payload.user_agent", "user_agent.original"),
    ("payload.url", "url.original"),
    ("payload.path", "file.path"),
    ("payload.process", "process.name"),
    ("payload.message", "message"),
];

pub(super) fn decode<'a>(raw: &'a str, fields: Fields<'a>, context: Context) -> Result<Event<'a>, Fields<'a>> {
    if !is_native(&fields) && !context.named {
        return Err(fields);
    }
    let mut event = blank(
        Format::Native,
        raw,
        logsource(Some("native"), Some("threatstream"), None),
    );
    event.time = json::text(&fields, "timestamp").and_then(|text| text.parse().ok());
    event.vendor_id = json::text(&fields, "event_id").cloned();
    normalise(&fields, &mut event.ecs);
    event.original = fields;
    Ok(event)
}

fn normalise<'a>(fields: &Fields<'a>, ecs: &mut Fields<'a>) {
    if let Some(address) = json::text(fields, "source_ip") {
        push_source(ecs, address.clone());
    }
    if let Some(address) = json::text(fields, "destination_ip") {
        ecs.push("destination.ip", Value::Str(address.clone()));
    }
    if let Some(Value::Int(port)) = fields.get("destination_port") {
        ecs.push("destination.port", Value::Int(*port));
    }
    if let Some(protocol) = json::text(fields, "protocol") {
        ecs.push("network.transport", Value::Str(protocol.to_ascii_lowercase().into()));
    }
    for (path, name) in FIELDS {
        // The first name that the payload has; the others are the same field by another name.
        if ecs.get(name).is_none() {
            json::map_text(fields, ecs, &[(*path, *name)]);
        }
    }
}
