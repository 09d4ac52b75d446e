//! What su, login, cron, systemd-logind and the programs that change users and groups say.

use super::syslog::push_text;
use super::{fixed, words};
use crate::Fields;

pub(super) fn read<'a>(program: &str, message: &'a str, ecs: &mut Fields<'a>) {
    match program {
        "su" => su(message, ecs),
        "useradd" | "adduser" => useradd(message, ecs),
        "groupadd" => groupadd(message, ecs),
        "usermod" | "gpasswd" => usermod(message, ecs),
        "userdel" | "groupdel" => deleted(program, message, ecs),
        "passwd" | "chpasswd" => {}
        "systemd-logind" => logind(message, ecs),
        "login" => login(message, ecs),
        "CRON" | "cron" | "crond" => cron(message, ecs),
        _ => {}
    }
}

fn iam<'a>(ecs: &mut Fields<'a>, what: &'static str, change: &'static str, outcome: &'static str) {
    ecs.push("event.category", words(&["iam"]));
    ecs.push("event.type", words(&[what, change]));
    ecs.push("event.outcome", fixed(outcome));
}

/// `Successful su for root by bob`, `FAILED su for root by bob`, `FAILED SU (to root) bob on pts/0`, `(to root) bob on …`.
fn su<'a>(message: &'a str, ecs: &mut Fields<'a>) {
    let (outcome, rest) = if let Some(rest) = message.strip_prefix("Successful su for ") {
        ("success", rest)
    } else if let Some(rest) = message.strip_prefix("FAILED su for ") {
        ("failure", rest)
    } else if let Some(rest) = message.strip_prefix("FAILED SU ") {
        ("failure", rest)
    } else if message.starts_with("(to ") {
        ("success", message)
    } else {
        return;
    };
    ecs.push("event.action", fixed("su"));
    ecs.push("event.category", words(&["authentication"]));
    ecs.push("event.outcome", fixed(outcome));
    let (to, by) = match rest.strip_prefix("(to ").and_then(|rest| rest.split_once(") ")) {
        Some((to, by)) => (to, by.split(" on ").next().unwrap_or(by)),
        None => rest.rsplit_once(" by ").unwrap_or((rest, "")),
    };
    push_text(ecs, "user.effective.name", to);
    push_text(ecs, "user.name", by);
}

/// `new user: name=x, UID=106, GID=111, home=…, shell=…`, `new group: name=x, GID=1`, `failed adding user 'x', …`.
fn useradd<'a>(message: &'a str, ecs: &mut Fields<'a>) {
    if let Some(rest) = message.strip_prefix("new user: ") {
        ecs.push("event.action", fixed("user-created"));
        iam(ecs, "user", "creation", "success");
        pairs(
            rest,
            ecs,
            &[
                ("name", "user.name"),
                ("UID", "user.id"),
                ("GID", "group.id"),
                ("home", "system.auth.useradd.home"),
                ("shell", "system.auth.useradd.shell"),
            ],
        );
    } else if message.starts_with("new group: ") {
        groupadd(message, ecs);
    } else if let Some(rest) = message.strip_prefix("failed adding user '") {
        iam(ecs, "user", "creation", "failure");
        push_text(ecs, "user.name", rest.split('\'').next().unwrap_or(rest));
    } else {
        usermod(message, ecs);
    }
}

fn groupadd<'a>(message: &'a str, ecs: &mut Fields<'a>) {
    if let Some(rest) = message.strip_prefix("new group: ") {
        ecs.push("event.action", fixed("group-created"));
        iam(ecs, "group", "creation", "success");
        pairs(rest, ecs, &[("name", "group.name"), ("GID", "group.id")]);
    }
}

fn pairs<'a>(text: &'a str, ecs: &mut Fields<'a>, names: &[(&str, &'static str)]) {
    for (key, value) in text.split(", ").filter_map(|pair| pair.split_once('=')) {
        if let Some((_, name)) = names.iter().find(|(name, _)| *name == key) {
            push_text(ecs, name, value);
        }
    }
}

/// `add 'bob' to group 'sudo'`, `user bob added by root to group sudo`, `change user 'bob' …`.
fn usermod<'a>(message: &'a str, ecs: &mut Fields<'a>) {
    let mut quoted = message.split('\'').skip(1).step_by(2);
    if message.starts_with("add '") && message.contains("' to group '") {
        ecs.push("event.action", fixed("added-to-group"));
        iam(ecs, "group", "change", "success");
        push_text(ecs, "user.name", quoted.next().unwrap_or(""));
        push_text(ecs, "group.name", quoted.next().unwrap_or(""));
    } else if let Some((user, rest)) = message
        .strip_prefix("user ")
        .and_then(|rest| rest.split_once(" added by "))
    {
        let Some((_, group)) = rest.rsplit_once(" to group ") else {
            return;
        };
        ecs.push("event.action", fixed("added-to-group"));
        iam(ecs, "group", "change", "success");
        push_text(ecs, "user.name", user);
        push_text(ecs, "group.name", group.trim_end());
    } else if message.starts_with("change user '") {
        iam(ecs, "user", "change", "success");
        push_text(ecs, "user.name", quoted.next().unwrap_or(""));
    }
}

/// `delete user 'bob'`.
fn deleted<'a>(program: &str, message: &'a str, ecs: &mut Fields<'a>) {
    let (what, name) = if program == "userdel" {
        ("user", "user.name")
    } else {
        ("group", "group.name")
    };
    if message.starts_with("delete ") || message.starts_with("removed group") {
        iam(ecs, what, "deletion", "success");
        push_text(ecs, name, message.split('\'').nth(1).unwrap_or(""));
    }
}

/// `New session 8 of user ubuntu.`, `Removed session 6.`
fn logind<'a>(message: &'a str, ecs: &mut Fields<'a>) {
    if message.starts_with("New session ") {
        ecs.push("event.action", fixed("session-started"));
        ecs.push("event.category", words(&["session"]));
        if let Some((_, user)) = message.rsplit_once(" of user ") {
            push_text(ecs, "user.name", user.strip_suffix('.').unwrap_or(user));
        }
    } else if message.starts_with("Removed session ") {
        ecs.push("event.action", fixed("session-ended"));
        ecs.push("event.category", words(&["session"]));
    }
}

/// `FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure`, `ROOT LOGIN ON tty1`.
fn login<'a>(message: &'a str, ecs: &mut Fields<'a>) {
    let failed = message.starts_with("FAILED LOGIN");
    if failed || message.contains("LOGIN ON ") {
        ecs.push("event.action", fixed("console_login"));
        ecs.push("event.category", words(&["authentication"]));
        ecs.push("event.outcome", fixed(if failed { "failure" } else { "success" }));
        if let Some((_, rest)) = message.split_once(" FOR '") {
            push_text(ecs, "user.name", rest.split('\'').next().unwrap_or(rest));
        }
    }
}

/// `(root) CMD (command)`.
fn cron<'a>(message: &'a str, ecs: &mut Fields<'a>) {
    if let Some((user, command)) = message.strip_prefix('(').and_then(|rest| rest.split_once(") CMD (")) {
        ecs.push("event.category", words(&["process"]));
        ecs.push("event.action", fixed("cron_command"));
        push_text(ecs, "user.name", user);
        push_text(
            ecs,
            "process.command_line",
            command.trim_end().strip_suffix(')').unwrap_or(command),
        );
    }
}
