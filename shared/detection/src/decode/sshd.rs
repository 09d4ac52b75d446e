//! What OpenSSH's server says about who came in, who did not, and who only looked.
//!
//! A user's name is whatever the other side typed, spaces and `from 192.0.2.1 port 22` included: addresses are read from
//! the end of the line.

use std::borrow::Cow;

use super::syslog::push_text;
use super::{fixed, push_source, words};
use crate::{Fields, Value};

pub(super) fn read<'a>(message: &'a str, ecs: &mut Fields<'a>) {
    let mut text = message.trim_end();
    if let Some(before) = text.strip_suffix(" [preauth]") {
        ecs.push("event.reason", fixed("preauth"));
        text = before;
    }
    let text = text
        .strip_prefix("error: ")
        .or_else(|| text.strip_prefix("fatal: "))
        .unwrap_or(text);
    let _known = login(text, ecs) || refusal(text, ecs) || parting(text, ecs) || probe(text, ecs) || other(text, ecs);
}

/// `Failed password for [invalid user ]USER from ADDRESS port PORT ssh2`, `Accepted …`, `Invalid user USER from …`.
fn login<'a>(text: &'a str, ecs: &mut Fields<'a>) -> bool {
    let (event, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (method, who) = match event {
        "Accepted" | "Failed" => match rest.split_once(" for ") {
            Some((method, who)) => (Some(method), who),
            None => return false,
        },
        "Invalid" | "Illegal" => match rest.strip_prefix("user ") {
            Some(who) => (None, who),
            None => return false,
        },
        _ => return false,
    };
    let Some((user, peer)) = user_from_peer(who) else {
        return false;
    };
    let accepted = event == "Accepted";
    ecs.push("event.action", fixed("ssh_login"));
    ecs.push(
        "event.category",
        words(if accepted {
            &["authentication", "session"]
        } else {
            &["authentication"]
        }),
    );
    ecs.push("event.type", words(&["info"]));
    ecs.push("event.outcome", fixed(if accepted { "success" } else { "failure" }));
    push_text(ecs, "system.auth.ssh.event", event);
    if let Some(method) = method {
        push_text(ecs, "system.auth.ssh.method", method);
    }
    push_text(ecs, "user.name", known_or_not(user));
    push_peer(ecs, peer);
    true
}

/// Attempts that the server cut off, and users whom it does not let in.
fn refusal<'a>(text: &'a str, ecs: &mut Fields<'a>) -> bool {
    let (action, who) = if let Some(who) = text.strip_prefix("maximum authentication attempts exceeded for ") {
        ("ssh_max_attempts", who)
    } else if let Some(who) = text.strip_prefix("User ") {
        let Some((who, _)) = text
            .contains(" not allowed because ")
            .then(|| who.rsplit_once(" not allowed because "))
            .flatten()
        else {
            return false;
        };
        ("ssh_user_refused", who)
    } else if let Some(rest) = text.strip_prefix("PAM: ") {
        let Some((_, who)) = rest.split_once(" for ") else {
            return false;
        };
        ("ssh_pam_error", who)
    } else {
        return false;
    };
    let Some((user, peer)) = user_from_peer(who) else {
        return false;
    };
    ecs.push("event.action", fixed(action));
    ecs.push("event.category", words(&["authentication"]));
    ecs.push("event.outcome", fixed("failure"));
    push_text(ecs, "user.name", known_or_not(user));
    push_peer(ecs, peer);
    true
}

/// Ends of connections: `Connection closed by`, `Disconnected from`, `Disconnecting`, `Received disconnect from`.
fn parting<'a>(text: &'a str, ecs: &mut Fields<'a>) -> bool {
    const BEGINNINGS: &[&str] = &[
        "Connection closed by ",
        "Connection reset by ",
        "Disconnected from ",
        "Disconnecting ",
        "Received disconnect from ",
    ];
    let Some(rest) = BEGINNINGS.iter().find_map(|beginning| text.strip_prefix(beginning)) else {
        return false;
    };
    ecs.push("event.action", fixed("ssh_disconnect"));
    for kind in ["authenticating user ", "invalid user ", "user "] {
        if let Some(who) = rest.strip_prefix(kind) {
            // USER ADDRESS port PORT[: reason]
            let Some((before, _)) = who.rsplit_once(" port ") else {
                return true;
            };
            let Some((user, _)) = before.rsplit_once(' ') else {
                return true;
            };
            push_text(ecs, "user.name", user);
            push_peer(ecs, &who[user.len() + 1..]);
            return true;
        }
    }
    push_peer(ecs, rest);
    true
}

/// Those who connect and never log in: scanners, other protocols, hosts whose names do not match.
fn probe<'a>(text: &'a str, ecs: &mut Fields<'a>) -> bool {
    let peer = if let Some(rest) = text.strip_prefix("Did not receive identification string from ") {
        push_text(
            ecs,
            "system.auth.ssh.dropped_ip",
            rest.split(' ').next().unwrap_or(rest),
        );
        Some(rest)
    } else if text.starts_with("Bad protocol version identification ") {
        text.rsplit_once(" from ").map(|(_, peer)| peer)
    } else if let Some(rest) = text.strip_prefix("Unable to negotiate with ") {
        Some(rest)
    } else if let Some(rest) = text.strip_prefix("banner exchange: Connection from ") {
        Some(rest)
    } else if let Some(rest) = text.strip_prefix("kex_exchange_identification: ") {
        rest.rsplit_once(" from ").map(|(_, peer)| peer)
    } else {
        None
    };
    if let Some(peer) = peer {
        ecs.push("event.action", fixed("ssh_probe"));
        push_peer(ecs, peer);
        return true;
    }
    if !text.contains("POSSIBLE BREAK-IN ATTEMPT") {
        return false;
    }
    ecs.push("event.action", fixed("ssh_reverse_mapping_failed"));
    if let Some(rest) = text.strip_prefix("Address ") {
        push_peer(ecs, rest);
    } else if let Some((_, rest)) = text.rsplit_once(" [") {
        push_source(ecs, Cow::Borrowed(rest.split(']').next().unwrap_or(rest)));
    }
    true
}

fn other<'a>(text: &'a str, ecs: &mut Fields<'a>) -> bool {
    if let Some(rest) = text.strip_prefix("subsystem request for ") {
        if let Some((_, user)) = rest.rsplit_once(" by user ") {
            push_text(ecs, "user.name", user);
        }
    } else if let Some(rest) = text.strip_prefix("Connection from ") {
        ecs.push("event.action", fixed("ssh_connection"));
        push_peer(ecs, rest);
    } else if let Some(user) = text.strip_prefix("input_userauth_request: invalid user ") {
        push_text(ecs, "user.name", user);
    } else {
        return false;
    }
    true
}

/// `USER from ADDRESS…`, from the right.
fn user_from_peer(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix("from ") {
        // An empty name leaves nothing before it but the blank that was cut off.
        Some(peer) if !peer.contains(" from ") => Some(("", peer)),
        _ => text.rsplit_once(" from "),
    }
}

/// The name itself, whether the system knows it or not.
fn known_or_not(user: &str) -> &str {
    ["invalid user ", "illegal user ", "illegal user", "invalid user"]
        .iter()
        .find_map(|kind| user.strip_prefix(kind))
        .unwrap_or(user)
}

/// `ADDRESS[ port PORT]…`.
fn push_peer<'a>(ecs: &mut Fields<'a>, text: &'a str) {
    let (address, rest) = text.split_once(' ').unwrap_or((text, ""));
    // The colon before a reason, where no port stands between: `Received disconnect from 192.0.2.1: 11: …`.
    let address = address.strip_suffix(':').unwrap_or(address);
    push_source(ecs, Cow::Borrowed(address));
    if let Some(rest) = rest.strip_prefix("port ") {
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        if let Ok(port) = rest[..length].parse::<u16>() {
            ecs.push("source.port", Value::Int(port.into()));
        }
    }
}
