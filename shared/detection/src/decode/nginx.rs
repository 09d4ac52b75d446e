//! Nginx: the access log in its default (`combined`) format, and the error log.

use std::borrow::Cow;

use super::{Context, Format, access, blank, calendar, fixed, logsource, push_source, words};
use crate::{Event, Value};

pub(super) fn sniff(raw: &str) -> bool {
    let bytes = raw.as_bytes();
    matches!(bytes, [_, _, _, _, b'/', _, _, b'/', ..]) || memchr::memmem::find(bytes, b"] \"").is_some()
}

pub(super) fn decode(raw: &str, context: Context) -> Option<Event<'_>> {
    let Some(line) = access::split(raw) else {
        return error_log(raw);
    };
    if context.named {
        return Some(access::event(Format::Nginx, Some("nginx"), raw, &line));
    }
    // Without an agent it is Apache's `common`; a host with its port or anything behind the agent is not Nginx's default.
    let plain = line.agent.is_some() && line.rest.is_empty() && !line.host.is_some_and(|host| host.contains(':'));
    plain.then(|| access::event(Format::Nginx, None, raw, &line))
}

/// `2016/10/25 14:49:34 [error] 54053#0: *1 message, client: 127.0.0.1, server: …, request: "…", host: "…"`.
fn error_log(raw: &str) -> Option<Event<'_>> {
    let time = calendar::iso(raw.get(..19)?)?;
    let (level, rest) = raw.get(19..)?.strip_prefix(" [")?.split_once("] ")?;
    let (process, message) = rest.split_once(": ")?;
    let (pid, _thread) = process.split_once('#')?;
    let mut event = blank(
        Format::Nginx,
        raw,
        logsource(Some("webserver"), Some("nginx"), Some("error")),
    );
    event.time = Some(time);
    let (original, ecs) = (&mut event.original, &mut event.ecs);
    original.push("level", Value::str(level));
    original.push("message", Value::str(message));
    ecs.push("event.kind", fixed("event"));
    ecs.push("event.category", words(&["web"]));
    ecs.push("event.type", words(&["error"]));
    ecs.push("log.level", Value::str(level));
    ecs.push("message", Value::str(message));
    if let Some(pid) = calendar::digits(pid.as_bytes()) {
        ecs.push("process.pid", Value::Int(pid.into()));
    }
    if let Some(client) = named(message, ", client: ") {
        original.push("c-ip", Value::str(client));
        push_source(ecs, Cow::Borrowed(client));
    }
    if let Some(host) = named(message, ", host: ") {
        original.push("cs-host", Value::str(host));
        ecs.push("url.domain", Value::str(host));
    }
    if let Some(request) = named(message, ", request: ") {
        access::request(request, original, ecs);
    }
    Some(event)
}

/// The value behind a name in the list that ends the message; the last, because what comes before may be the client's.
fn named<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let rest = &message[message.rfind(name)? + name.len()..];
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split(',').next(),
    }
}
