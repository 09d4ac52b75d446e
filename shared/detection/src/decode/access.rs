//! The access log line that Nginx and Apache share: `common`, `combined`, and what installations put before and after.

use std::borrow::Cow;
use std::net::IpAddr;

use super::{Format, blank, calendar, fixed, logsource, percent, push_source, words};
use crate::enrich::is_internal;
use crate::{Event, Fields, Value};

/// A line taken apart, nothing interpreted yet.
pub(super) struct Line<'a> {
    /// The virtual host before the address, if there is one.
    pub(super) host: Option<&'a str>,
    /// The addresses, as many as proxies put there.
    pub(super) addresses: Vec<&'a str>,
    pub(super) user: &'a str,
    time: threatstream_domain::Timestamp,
    request: &'a str,
    status: &'a str,
    bytes: &'a str,
    pub(super) referrer: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
    /// What follows the agent, or the bytes when there is no agent.
    pub(super) rest: &'a str,
}

/// Takes a line apart; `None` when it is no access log line.
pub(super) fn split(raw: &str) -> Option<Line<'_>> {
    let open = memchr::memmem::find(raw.as_bytes(), b" [")?;
    let close = open + memchr::memchr(b']', &raw.as_bytes()[open..])?;
    let time = calendar::common_log(raw.as_bytes().get(open + 2..close)?)?;
    let (clients, user) = clients(&raw[..open])?;
    let (request, rest) = quoted(raw[close + 1..].trim_start())?;
    let (status, rest) = word(rest);
    if status.len() != 3 || calendar::digits(status.as_bytes()).is_none() {
        return None;
    }
    let (bytes, rest) = word(rest);
    let (_response_time, after) = match word(rest) {
        (number, after) if calendar::digits(number.as_bytes()).is_some() => (Some(number), after),
        _ => (None, rest),
    };
    let (referrer, agent, rest) = match quoted(after) {
        Some((referrer, rest)) => match quoted(rest) {
            Some((agent, rest)) => (Some(referrer), Some(agent), rest),
            None => (Some(referrer), None, rest),
        },
        None => (None, None, after),
    };
    let (host, addresses) = clients;
    Some(Line {
        host,
        addresses,
        user,
        time,
        request,
        status,
        bytes,
        referrer,
        agent,
        rest,
    })
}

type Clients<'a> = (Option<&'a str>, Vec<&'a str>);

/// `[host ]address[, address…] ident user`.
fn clients(text: &str) -> Option<(Clients<'_>, &str)> {
    let (text, user) = text.rsplit_once(' ')?;
    let (text, _ident) = text.rsplit_once(' ')?;
    let text = text.trim_matches('"');
    let mut addresses: Vec<_> = text
        .split([',', ' '])
        .map(|part| part.trim_matches('"'))
        .filter(|part| !part.is_empty())
        .collect();
    let first = *addresses.first()?;
    let named = addresses.len() > 1 && first.parse::<IpAddr>().is_err() && !text.starts_with(&format!("{first},"));
    let host = named.then(|| addresses.remove(0));
    Some(((host, addresses), user))
}

/// `"…"` at the start, with backslash escapes in it as they are, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.as_bytes().get(at..)?)?;
        if text.as_bytes()[at] == b'"' {
            return Some((&text[..at], text[at + 1..].trim_start_matches(' ')));
        }
        at += 2;
    }
}

/// Up to the next space, and what follows it.
fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

/// The event of a line, with Sigma's webserver names and ECS. `product` is left out where the bytes do not tell it.
pub(super) fn event<'a>(format: Format, product: Option<&'static str>, raw: &'a str, line: &Line<'a>) -> Event<'a> {
    let mut event = blank(format, raw, logsource(Some("webserver"), product, None));
    event.time = Some(line.time);
    let (original, ecs) = (&mut event.original, &mut event.ecs);
    ecs.push("event.kind", fixed("event"));
    ecs.push("event.category", words(&["web"]));
    ecs.push("event.type", words(&["access"]));
    if let Some(host) = line.host {
        let domain = host
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok())
            .map_or(host, |(host, _)| host);
        original.push("cs-host", Value::str(host));
        ecs.push("destination.domain", Value::str(domain));
        ecs.push("url.domain", Value::str(domain));
    }
    if let Some(client) = client(&line.addresses) {
        original.push("c-ip", Value::str(client));
        push_source(ecs, Cow::Borrowed(client));
    }
    if line.user != "-" && !line.user.is_empty() {
        original.push("cs-username", Value::str(line.user));
        ecs.push("user.name", Value::str(line.user));
    }
    request(line.request, original, ecs);
    if let Some(status) = calendar::digits(line.status.as_bytes()) {
        original.push("sc-status", Value::Int(status.into()));
        ecs.push("http.response.status_code", Value::Int(status.into()));
        ecs.push("event.outcome", fixed(if status < 400 { "success" } else { "failure" }));
    }
    if let Some(bytes) = line.bytes.parse().ok().filter(|bytes| *bytes >= 0) {
        original.push("sc-bytes", Value::Int(bytes));
        ecs.push("http.response.body.bytes", Value::Int(bytes));
    }
    if let Some(referrer) = line.referrer.filter(|text| !matches!(*text, "-" | "")) {
        original.push("cs-referer", Value::str(referrer));
        ecs.push("http.request.referrer", Value::str(referrer));
    }
    if let Some(agent) = line.agent.filter(|text| !matches!(*text, "-" | "")) {
        original.push("cs-user-agent", Value::str(agent));
        original.push("c-useragent", Value::str(agent));
        ecs.push("user_agent.original", Value::str(agent));
    }
    event
}

/// The client: of several addresses the first on the internet, else the first.
fn client<'a>(addresses: &[&'a str]) -> Option<&'a str> {
    let outside = |address: &&&str| address.parse().is_ok_and(|ip| !is_internal(ip));
    addresses.iter().find(outside).or_else(|| addresses.first()).copied()
}

/// `GET /path?query HTTP/1.1`, as far as it is that.
pub(super) fn request<'a>(text: &'a str, original: &mut Fields<'a>, ecs: &mut Fields<'a>) {
    let (text, version) = match text.rsplit_once(" HTTP/") {
        Some((text, version)) => (text, Some(version)),
        None => (text, None),
    };
    if let Some(version) = version {
        original.push("cs-version", Value::str(version));
        ecs.push("http.version", Value::str(version));
    }
    let Some((method, target)) = text.split_once(' ') else {
        // Not HTTP: a TLS greeting on a plain port, an exploit's bytes. They are what was asked for.
        if !matches!(text, "" | "-") {
            original.push("cs-uri", Value::str(text));
            ecs.push("url.target", Value::Str(percent::fully(text)));
        }
        return;
    };
    if method == "-" || method.is_empty() {
        return;
    }
    original.push("cs-method", Value::str(method));
    ecs.push("http.request.method", Value::str(method));
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    original.push("cs-uri", Value::str(target));
    original.push("c-uri", Value::str(target));
    original.push("cs-uri-stem", Value::str(path));
    // Published rules look for paths in `cs-uri-query` as well as for queries: both are there.
    let both = query.map(|query| Value::List(vec![Value::str(query), Value::str(target)]));
    original.push("cs-uri-query", both.unwrap_or(Value::str(target)));
    ecs.push("url.original", Value::str(target));
    let decoded = percent::once(path);
    if let Some((_, extension)) = decoded.rsplit('/').next().and_then(|name| name.rsplit_once('.'))
        && !extension.is_empty()
        && let Some((_, written)) = path.rsplit_once('.')
        && written == extension
    {
        ecs.push("url.extension", Value::str(written));
    }
    ecs.push("url.path", Value::Str(decoded));
    if let Some(query) = query {
        ecs.push("url.query", Value::str(query));
    }
    ecs.push("url.target", Value::Str(percent::fully(target)));
}
