//! Syslog: RFC 5424, RFC 3164, and the ISO-dated form that rsyslog and journald write, with or without `<PRI>`.
//!
//! What a program says in its message is read by the module of that program; its words are often an attacker's, so each
//! of them looks for the fixed parts from the side that the attacker does not write.

use std::borrow::Cow;

use threatstream_domain::Timestamp;

use super::{Context, Format, access, accounts, blank, calendar, fixed, logsource, pam, sshd, structured, sudo};
use crate::{Event, Fields, Value};

/// What stands before the message.
#[derive(Default)]
struct Header<'a> {
    priority: Option<u32>,
    version: Option<&'a str>,
    time: Option<Timestamp>,
    host: Option<&'a str>,
    program: Option<&'a str>,
    pid: Option<&'a str>,
    message_id: Option<&'a str>,
    data: Fields<'a>,
    /// The program logs through PAM under its own tag: `sshd(pam_unix)[1]:`.
    through_pam: bool,
    message: &'a str,
}

pub(super) fn sniff(raw: &str) -> bool {
    matches!(raw.as_bytes(), [b'<' | b'0'..=b'9' | b'A'..=b'S', ..])
}

pub(super) fn decode(raw: &str, context: Context) -> Option<Event<'_>> {
    let header = header(raw, context.received_at)?;
    let program = header.program.map(base_name);
    if matches!(program, Some("nginx" | "httpd" | "apache2" | "apache"))
        && let Some(line) = access::split(header.message)
    {
        let product = if program == Some("nginx") { "nginx" } else { "apache" };
        let mut event = access::event(Format::Syslog, Some(product), raw, &line);
        push_header(&header, program, &mut event);
        return Some(event);
    }
    let mut event = blank(
        Format::Syslog,
        raw,
        logsource(None, Some("linux"), Some(service(program.unwrap_or("")))),
    );
    event.time = header.time;
    event.ecs.push("event.kind", fixed("event"));
    push_header(&header, program, &mut event);
    let (message, times) = repeated(header.message);
    if let Some(times) = times {
        event.original.push("repeat", Value::Int(times));
    }
    said(program.unwrap_or(""), header.through_pam, message, &mut event);
    Some(event)
}

/// What the program says in its message.
fn said<'a>(program: &str, through_pam: bool, message: &'a str, event: &mut Event<'a>) {
    let (original, ecs) = (&mut event.original, &mut event.ecs);
    if pam::read(program, through_pam, message, original, ecs) {
        return;
    }
    match service(program) {
        "sshd" => sshd::read(message, ecs),
        "sudo" => sudo::read(message, original, ecs),
        "auth" | "cron" => accounts::read(program, message, ecs),
        _ => {}
    }
}

/// Which of Linux's logs a program's lines belong to, as Sigma names them.
fn service(program: &str) -> &'static str {
    match program {
        "sshd" | "sshd-session" | "sshd-auth" => "sshd",
        "sudo" => "sudo",
        "CRON" | "cron" | "crond" | "crontab" | "anacron" | "atd" => "cron",
        "vsftpd" => "vsftpd",
        "clamd" | "freshclam" => "clamav",
        "auditd" | "audispd" => "auditd",
        "su" | "login" | "useradd" | "adduser" | "userdel" | "usermod" | "groupadd" | "groupdel" | "groupmod"
        | "gpasswd" | "passwd" | "chpasswd" | "chage" | "systemd-logind" | "polkitd" | "pkexec" | "gdm" | "sssd" => {
            "auth"
        }
        _ => "syslog",
    }
}

fn base_name(program: &str) -> &str {
    program
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or(program)
}

fn push_header<'a>(header: &Header<'a>, program: Option<&'a str>, event: &mut Event<'a>) {
    let (original, ecs) = (&mut event.original, &mut event.ecs);
    if let Some(priority) = header.priority {
        original.push("facility", Value::Int((priority / 8).into()));
        original.push("severity", Value::Int((priority % 8).into()));
        ecs.push("log.syslog.priority", Value::Int(priority.into()));
    }
    if let Some(version) = header.version {
        ecs.push("log.syslog.version", Value::str(version));
    }
    if let Some(host) = header.host {
        original.push("hostname", Value::str(host));
        ecs.push("host.hostname", Value::str(host));
        ecs.push("host.name", Value::str(host));
    }
    if let Some(program) = program {
        original.push("program", Value::str(program));
        ecs.push("process.name", Value::str(program));
    }
    if let Some(pid) = header.pid {
        original.push("pid", Value::str(pid));
        if let Some(pid) = calendar::digits(pid.as_bytes()) {
            ecs.push("process.pid", Value::Int(pid.into()));
        }
    }
    if let Some(id) = header.message_id {
        original.push("msgid", Value::str(id));
        ecs.push("log.syslog.msgid", Value::str(id));
    }
    if !header.data.0.is_empty() {
        original.push("structured_data", Value::Map(header.data.clone()));
    }
    original.push("message", Value::str(header.message));
    ecs.push("message", Value::str(header.message));
}

fn header(raw: &str, received_at: Timestamp) -> Option<Header<'_>> {
    let (priority, rest) = match raw.strip_prefix('<') {
        Some(rest) => {
            let (number, rest) = rest.split_once('>')?;
            let number = calendar::digits(number.as_bytes()).filter(|number| *number <= 191)?;
            (Some(number), rest)
        }
        None => (None, raw),
    };
    let mut header = match rest.strip_prefix("1 ") {
        Some(rest) => rfc5424(rest)?,
        None => rfc3164(rest, received_at, priority.is_some())?,
    };
    header.priority = priority;
    Some(header)
}

/// `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`, `-` for what is not known.
fn rfc5424(text: &str) -> Option<Header<'_>> {
    let mut parts = text.splitn(6, ' ');
    let mut next = || parts.next();
    let (time, host, program, pid, id, rest) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let known = |text| Some(text).filter(|text| !matches!(*text, "-" | ""));
    let time = match known(time) {
        Some(time) => Some(calendar::iso(time)?),
        None => None,
    };
    // Some senders leave the structured data out; then all of it is the message.
    let (data, message) = structured::read(rest).unwrap_or((Fields::default(), rest));
    let message = message.trim_start_matches(' ');
    Some(Header {
        version: Some("1"),
        time,
        host: known(host),
        program: known(program),
        pid: known(pid),
        message_id: known(id),
        data,
        message: message.strip_prefix('\u{feff}').unwrap_or(message),
        ..Header::default()
    })
}

/// `Mar 27 16:16:42 host tag[pid]: message`, or the same with an ISO date. With a priority the time may be missing.
fn rfc3164(text: &str, received_at: Timestamp, prioritised: bool) -> Option<Header<'_>> {
    let text = text.trim_start_matches(' ');
    let (time, rest) = match calendar::yearless(text.as_bytes(), received_at) {
        Some((time, length)) => (Some(time), text.get(length..)?),
        None => match text
            .split_once(' ')
            .filter(|(word, _)| word.as_bytes().get(10) == Some(&b'T'))
        {
            Some((word, _)) => (Some(calendar::iso(word)?), &text[word.len()..]),
            None if prioritised => (None, text),
            None => return None,
        },
    };
    let rest = if time.is_some() {
        rest.strip_prefix([' ', ':'])?.trim_start_matches(' ')
    } else {
        rest
    };
    let mut header = Header {
        time,
        ..Header::default()
    };
    // A first word that ends in a colon, or holds a process id, is the tag: the sender left its name out.
    let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let message = if time.is_none() || word.ends_with(':') {
        rest
    } else {
        header.host = Some(word).filter(|word| !word.is_empty());
        after
    };
    let (tag, message) = split_tag(message);
    if let Some(tag) = tag {
        read_tag(tag, &mut header);
    }
    header.message = message;
    Some(header)
}

/// The tag before the first colon, when it is one, and the message.
fn split_tag(text: &str) -> (Option<&str>, &str) {
    let Some(colon) = memchr::memchr(b':', &text.as_bytes()[..text.len().min(96)]) else {
        return (None, text);
    };
    let tag = &text[..colon];
    let words = tag.split(' ').count();
    // `syslogd 1.4.1:` and `Microsoft Word[14463]:` are tags; a sentence before a colon is not.
    if tag.is_empty()
        || (words > 1 && !tag.ends_with(']') && !tag.ends_with(|last: char| last.is_ascii_digit()))
        || words > 4
    {
        return (None, text);
    }
    let message = &text[colon + 1..];
    (Some(tag), message.strip_prefix(' ').unwrap_or(message))
}

/// `program`, `program[pid]`, `program(pam_unix)[pid]`.
fn read_tag<'a>(tag: &'a str, header: &mut Header<'a>) {
    let mut name = tag;
    if let Some((before, pid)) = tag.strip_suffix(']').and_then(|tag| tag.rsplit_once('[')) {
        (name, header.pid) = (before, Some(pid));
    }
    if let Some(before) = name.strip_suffix("(pam_unix)") {
        (name, header.through_pam) = (before, true);
    }
    header.program = Some(name).filter(|name| !name.is_empty());
}

/// The message that `message repeated 5 times: [ … ]` stands for, and how often.
fn repeated(message: &str) -> (&str, Option<i64>) {
    let inner = || {
        let rest = message.strip_prefix("message repeated ")?;
        let (times, rest) = rest.split_once(" times: [")?;
        let inner = rest.trim_end().strip_suffix(']')?;
        Some((inner.trim_start(), i64::from(calendar::digits(times.as_bytes())?)))
    };
    match inner() {
        Some((inner, times)) => (inner, Some(times)),
        None => (message, None),
    }
}

/// Text as a borrowed value, when there is any.
pub(super) fn push_text<'a>(ecs: &mut Fields<'a>, name: &'static str, text: &'a str) {
    if !text.is_empty() {
        ecs.push(name, Value::Str(Cow::Borrowed(text)));
    }
}
