//! What PAM says under the name of the program that asked it.

use std::borrow::Cow;

use super::syslog::push_text;
use super::{calendar, fixed, push_source, words};
use crate::{Fields, Value};

/// Reads the message if it is PAM's, and says whether it was.
pub(super) fn read<'a>(
    program: &str,
    through_pam: bool,
    message: &'a str,
    original: &mut Fields<'a>,
    ecs: &mut Fields<'a>,
) -> bool {
    if let Some(rest) = message.strip_prefix("PAM ")
        && let Some((count, rest)) = rest.split_once(" more authentication failure")
        && let Some(count) = calendar::digits(count.as_bytes())
    {
        original.push("repeat", Value::Int(count.into()));
        failure(rest, ecs);
        return true;
    }
    let text = match message.strip_prefix("pam_").and_then(|rest| rest.split_once("): ")) {
        Some((_, text)) => text,
        None if through_pam => message,
        None => return false,
    };
    if let Some(rest) = text.strip_prefix("authentication failure") {
        failure(rest, ecs);
        // Where PAM logs under the program's own tag, this line is the attempt; elsewhere sshd writes its own.
        if through_pam && program == "sshd" {
            ecs.push("event.action", fixed("ssh_login"));
        }
    } else if let Some(rest) = text.strip_prefix("session opened for user ") {
        opened(rest, ecs);
    } else if let Some(rest) = text.strip_prefix("session closed for user ") {
        ecs.push("event.action", fixed("logged-off"));
        ecs.push("event.category", words(&["session"]));
        push_text(ecs, "user.name", rest.trim_end());
    } else if let Some(rest) = text.strip_prefix("password changed for ") {
        ecs.push("event.action", fixed("password-changed"));
        ecs.push("event.category", words(&["iam"]));
        ecs.push("event.type", words(&["user", "change"]));
        ecs.push("event.outcome", fixed("success"));
        push_text(ecs, "user.name", rest.trim_end());
    }
    true
}

/// `; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root`. The user comes last, and is whatever was typed.
fn failure<'a>(text: &'a str, ecs: &mut Fields<'a>) {
    ecs.push("event.category", words(&["authentication"]));
    ecs.push("event.outcome", fixed("failure"));
    let Some((asker, rest)) = text.split_once(" rhost=") else {
        return;
    };
    let (host, user) = rest.split_once(' ').unwrap_or((rest, ""));
    push_source(ecs, Cow::Borrowed(host));
    let asked_by = asker.rsplit_once(" ruser=").map_or("", |(_, user)| user);
    match user.trim_start().strip_prefix("user=") {
        // Behind a local program the one who asks is another than the one whose password it is.
        Some(user) if !asked_by.is_empty() && host.is_empty() => {
            push_text(ecs, "user.name", asked_by);
            push_text(ecs, "user.effective.name", user.trim_end());
        }
        Some(user) => push_text(ecs, "user.name", user.trim_end()),
        None => push_text(ecs, "user.name", asked_by),
    }
}

/// `root(uid=0) by ubuntu(uid=1000)`: the session's user, and who opened it.
fn opened<'a>(text: &'a str, ecs: &mut Fields<'a>) {
    ecs.push("event.action", fixed("logged-on"));
    ecs.push("event.category", words(&["session"]));
    let (user, by) = text.rsplit_once(" by ").unwrap_or((text, ""));
    let user = user.rsplit_once("(uid=").map_or(user, |(user, _)| user);
    push_text(ecs, "user.effective.name", user);
    let (by, uid) = by.rsplit_once("(uid=").unwrap_or((by, ""));
    push_text(ecs, "user.name", if by.is_empty() { user } else { by });
    push_text(ecs, "user.id", uid.trim_end().trim_end_matches(')'));
}
