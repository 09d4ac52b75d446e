//! Apache httpd: `common`, `combined`, `vhost_combined` and `ssl_request` access logs, and the error log.

use std::borrow::Cow;
use std::net::IpAddr;

use super::{Context, Format, access, blank, calendar, fixed, logsource, push_source, words};
use crate::{Event, Value};

pub(super) fn sniff(raw: &str) -> bool {
    raw.starts_with('[') || memchr::memmem::find(raw.as_bytes(), b"] \"").is_some()
}

pub(super) fn decode(raw: &str, _: Context) -> Option<Event<'_>> {
    match access::split(raw) {
        Some(line) => Some(access::event(Format::Apache, Some("apache"), raw, &line)),
        None => error_log(raw).or_else(|| ssl_request(raw)),
    }
}

/// `[time] [module:level] [pid 1:tid 2] [client 192.0.2.1:5000] message`, and the older form without module and pid.
fn error_log(raw: &str) -> Option<Event<'_>> {
    let (time, mut rest) = raw.strip_prefix('[')?.split_once("] ")?;
    let time = calendar::asctime(time)?;
    let mut event = blank(
        Format::Apache,
        raw,
        logsource(Some("webserver"), Some("apache"), Some("error")),
    );
    event.time = Some(time);
    let (original, ecs) = (&mut event.original, &mut event.ecs);
    ecs.push("event.kind", fixed("event"));
    ecs.push("event.category", words(&["web"]));
    ecs.push("event.type", words(&["error"]));
    let mut first = true;
    while let Some((part, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        if let Some(pid) = part.strip_prefix("pid ") {
            let pid = pid.split(':').next().and_then(|pid| calendar::digits(pid.as_bytes()));
            ecs.push("process.pid", pid.map_or(Value::Null, |pid| Value::Int(pid.into())));
        } else if let Some(client) = part.strip_prefix("client ") {
            let (address, port) = address_and_port(client);
            original.push("c-ip", Value::str(address));
            push_source(ecs, Cow::Borrowed(address));
            if let Some(port) = port {
                ecs.push("source.port", Value::Int(port.into()));
            }
        } else if first {
            let level = part.rsplit(':').next().unwrap_or(part);
            original.push("level", Value::str(level));
            ecs.push("log.level", Value::str(level));
        } else {
            break;
        }
        first = false;
        rest = after.trim_start();
    }
    original.push("message", Value::str(rest));
    ecs.push("message", Value::str(rest));
    // `AH00126: Invalid URI in request GET /… HTTP/1.1`
    if let Some((_, request)) = rest.split_once(" in request ") {
        access::request(request, original, ecs);
    }
    Some(event)
}

/// `192.0.2.1:5000`, `[2001:db8::1]:5000`, or an address alone.
fn address_and_port(text: &str) -> (&str, Option<u16>) {
    if text.parse::<IpAddr>().is_ok() {
        return (text, None);
    }
    match text.rsplit_once(':').map(|(address, port)| (address, port.parse())) {
        Some((address, Ok(port))) => (address.trim_matches(['[', ']']), Some(port)),
        _ => (text, None),
    }
}

/// `[16/Oct/2019:11:53:47 +0200] 192.0.2.1 TLSv1.2 CIPHER "GET / HTTP/1.1" 512`.
fn ssl_request(raw: &str) -> Option<Event<'_>> {
    let (time, rest) = raw.strip_prefix('[')?.split_once("] ")?;
    let time = calendar::common_log(time.as_bytes())?;
    let mut parts = rest.splitn(4, ' ');
    let (address, protocol, cipher, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (request, bytes) = rest.strip_prefix('"')?.rsplit_once('"')?;
    let mut event = blank(Format::Apache, raw, logsource(Some("webserver"), Some("apache"), None));
    event.time = Some(time);
    let (original, ecs) = (&mut event.original, &mut event.ecs);
    ecs.push("event.kind", fixed("event"));
    ecs.push("event.category", words(&["web"]));
    original.push("c-ip", Value::str(address));
    push_source(ecs, Cow::Borrowed(address));
    ecs.push("tls.cipher", Value::str(cipher));
    if let Some(version) = protocol.strip_prefix("TLSv") {
        ecs.push("tls.version", Value::str(version));
    }
    access::request(request, original, ecs);
    if let Some(bytes) = calendar::digits(bytes.trim().as_bytes()) {
        original.push("sc-bytes", Value::Int(bytes.into()));
        ecs.push("http.response.body.bytes", Value::Int(bytes.into()));
    }
    Some(event)
}
