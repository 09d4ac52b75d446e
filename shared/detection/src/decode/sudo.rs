//! What sudo says: `user : [why not ; ]TTY=… ; PWD=… ; USER=… ; COMMAND=…`.

use super::syslog::push_text;
use super::{fixed, words};
use crate::Fields;

pub(super) fn read<'a>(message: &'a str, original: &mut Fields<'a>, ecs: &mut Fields<'a>) {
    let Some((user, mut rest)) = message.split_once(" : ") else {
        return;
    };
    let user = user.trim_start();
    let mut denied = None;
    let mut command = None;
    let mut parts = Vec::with_capacity(4);
    // The command comes last and may hold anything.
    while !rest.is_empty() {
        if let Some(text) = rest.strip_prefix("COMMAND=") {
            command = Some(text);
            break;
        }
        let (part, after) = rest.split_once(" ; ").unwrap_or((rest, ""));
        match part
            .split_once('=')
            .filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            Some(pair) => parts.push(pair),
            None => denied = denied.or(Some(part)),
        }
        rest = after;
    }
    if parts.is_empty() && command.is_none() {
        return;
    }
    push_text(ecs, "user.name", user);
    ecs.push("event.category", words(&["process"]));
    for (name, value) in parts {
        match name {
            "TTY" => push_text(ecs, "system.auth.sudo.tty", value),
            "PWD" => {
                push_text(ecs, "system.auth.sudo.pwd", value);
                push_text(ecs, "process.working_directory", value);
            }
            "USER" => {
                push_text(ecs, "system.auth.sudo.user", value);
                push_text(ecs, "user.effective.name", value);
            }
            _ => {}
        }
    }
    if let Some(command) = command {
        push_text(original, "CommandLine", command);
        push_text(ecs, "system.auth.sudo.command", command);
        push_text(ecs, "process.command_line", command);
    }
    ecs.push(
        "event.action",
        fixed(if denied.is_some() {
            "sudo_denied"
        } else {
            "sudo_command"
        }),
    );
    ecs.push(
        "event.outcome",
        fixed(if denied.is_some() { "failure" } else { "success" }),
    );
    if let Some(denied) = denied {
        push_text(ecs, "system.auth.sudo.error", denied);
    }
}
