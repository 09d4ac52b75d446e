//! Google Cloud audit logs: a Cloud Logging `LogEntry` with an `AuditLog` as its `protoPayload`.
//!
//! Published rules name the same fields in three ways: `protoPayload.…` as Cloud Logging has it, `data.protoPayload.…`
//! as a Pub/Sub function sees it, `gcp.audit.…` as collectors rename it. All three are there.

use std::borrow::Cow;

use super::ingest::vendor_id;
use super::json::{map_text, text};
use super::{Context, Format, blank, calendar, fixed, logsource, push_source, words};
use crate::{Event, Fields, Value};

const FIELDS: &[(&str, &str)] = &[
    ("protoPayload.methodName", "event.action"),
    ("insertId", "event.id"),
    ("logName", "log.logger"),
    ("severity", "log.level"),
    ("protoPayload.serviceName", "service.name"),
    (
        "protoPayload.requestMetadata.callerSuppliedUserAgent",
        "user_agent.original",
    ),
    ("protoPayload.authenticationInfo.principalEmail", "user.name"),
    ("protoPayload.authenticationInfo.principalEmail", "user.email"),
    ("protoPayload.authenticationInfo.principalEmail", "client.user.email"),
    ("protoPayload.authenticationInfo.principalSubject", "client.user.id"),
    ("protoPayload.status.message", "error.message"),
    ("resource.labels.project_id", "cloud.project.id"),
];
/// Other names of what is already there.
const ALIASES: &[(&str, &str)] = &[
    ("protoPayload.methodName", "gcp.audit.method_name"),
    ("protoPayload.serviceName", "gcp.audit.service_name"),
    ("protoPayload.resourceName", "gcp.audit.resource_name"),
    ("protoPayload.methodName", "data.protoPayload.methodName"),
    ("protoPayload.serviceName", "data.protoPayload.serviceName"),
    ("protoPayload.resourceName", "data.protoPayload.resourceName"),
    ("logName", "data.protoPayload.logName"),
    ("resource.type", "data.protoPayload.resource.type"),
];

pub(super) fn decode<'a>(raw: &'a str, mut fields: Fields<'a>, context: Context) -> Result<Event<'a>, Fields<'a>> {
    if fields.get("protoPayload").is_none() && !context.named {
        return Err(fields);
    }
    let is_audit = text(&fields, "protoPayload.@type")
        .is_some_and(|kind| kind.ends_with("google.cloud.audit.AuditLog"))
        || text(&fields, "logName").is_some_and(|log| log.contains("cloudaudit.googleapis.com"))
        || text(&fields, "protoPayload.methodName").is_some();
    if !is_audit {
        return Err(fields);
    }
    let mut event = blank(Format::GcpAudit, raw, logsource(None, Some("gcp"), Some("gcp.audit")));
    event.time = text(&fields, "timestamp")
        .or_else(|| text(&fields, "receiveTimestamp"))
        .and_then(|time| calendar::iso(time));
    event.vendor_id = vendor_id(raw);
    normalise(&fields, &mut event.ecs);
    alias(&mut fields);
    event.original = fields;
    Ok(event)
}

fn alias(fields: &mut Fields<'_>) {
    for (path, name) in ALIASES {
        if let Some(text) = text(fields, path) {
            let value = Value::Str(text.clone());
            fields.push(*name, value);
        }
    }
    // A list of objects, each of which may be the one that a rule means.
    for (key, name) in [
        ("permission", "data.protoPayload.authorizationInfo.permission"),
        ("granted", "data.protoPayload.authorizationInfo.granted"),
    ] {
        let values: Vec<_> = authorizations(fields)
            .filter_map(|info| info.get(key))
            .cloned()
            .collect();
        if !values.is_empty() {
            fields.push(name, Value::List(values));
        }
    }
}

fn authorizations<'f, 'a>(fields: &'f Fields<'a>) -> impl Iterator<Item = &'f Fields<'a>> {
    let list = match fields.path("protoPayload.authorizationInfo") {
        Some(Value::List(list)) => list.as_slice(),
        _ => &[],
    };
    list.iter()
        .filter_map(|info| if let Value::Map(info) = info { Some(info) } else { None })
}

fn normalise<'a>(fields: &Fields<'a>, ecs: &mut Fields<'a>) {
    ecs.push("event.kind", fixed("event"));
    ecs.push("cloud.provider", fixed("gcp"));
    map_text(fields, ecs, FIELDS);
    if let Some(address) = text(fields, "protoPayload.requestMetadata.callerIp") {
        push_source(ecs, address.clone());
    }
    if let Some(log) = text(fields, "logName")
        && let Some(at) = log.rfind("%2F")
    {
        let name = match log {
            Cow::Borrowed(log) => Cow::Borrowed(&log[at + 3..]),
            Cow::Owned(log) => Cow::Owned(log[at + 3..].to_owned()),
        };
        ecs.push("event.provider", Value::Str(name));
    }
    ecs.push("event.outcome", fixed(outcome(fields)));
    ecs.push("event.category", words(&["network", "configuration"]));
}

/// By the status when it reports an error, else by whether the first permission was granted.
fn outcome(fields: &Fields<'_>) -> &'static str {
    if matches!(fields.path("protoPayload.status.code"), Some(Value::Int(code)) if *code != 0) {
        return "failure";
    }
    match authorizations(fields).next().and_then(|info| info.get("granted")) {
        Some(Value::Bool(true)) => "success",
        Some(Value::Bool(false)) => "failure",
        _ => "unknown",
    }
}
