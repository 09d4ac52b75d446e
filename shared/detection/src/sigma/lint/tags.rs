//! Tags, by namespace.

use super::texts;
use crate::yaml::Node;

/// The tactics of ATT&CK, enterprise, mobile and industrial, of this version and the ones before.
const TACTICS: [&str; 22] = [
    "collection",
    "command-and-control",
    "credential-access",
    "defense-evasion",
    "defense-impairment",
    "discovery",
    "evasion",
    "execution",
    "exfiltration",
    "impact",
    "impair-process-control",
    "inhibit-response-function",
    "initial-access",
    "lateral-movement",
    "network-effects",
    "persistence",
    "privilege-escalation",
    "reconnaissance",
    "remote-service-effects",
    "resource-development",
    "stealth",
    "impairment",
];
const COLOURS: [&str; 6] = ["amber", "amber+strict", "clear", "green", "red", "white"];
const PURPOSES: [&str; 3] = ["dfir", "emerging-threats", "threat-hunting"];

pub(super) fn check(rule: &Node, found: &mut Vec<String>) {
    for tag in texts(rule, "tags") {
        if let Some(reason) = wrong(tag.trim()) {
            found.push(format!("`tags`: `{tag}` {reason}"));
        }
    }
}

fn wrong(tag: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | '+');
    if let Some(lower) = Some(tag.to_ascii_lowercase()).filter(|lower| lower != tag) {
        return Some(format!("is written in lower case: `{lower}`"));
    }
    let Some((namespace, name)) = tag.split_once('.').filter(|(_, name)| !name.is_empty()) else {
        return Some("has no namespace: `attack.t1110`, `cve.2021-44228`".to_owned());
    };
    if !tag.chars().all(allowed) {
        return Some("has characters other than a to z, 0 to 9, `-`, `_` and `.`".to_owned());
    }
    match namespace {
        "attack" => attack(name),
        "cve" => (!is_cve(name)).then(|| "is no CVE: `cve.2021-44228`".to_owned()),
        "tlp" => (!COLOURS.contains(&name)).then(|| format!("is none of {}", COLOURS.join(", "))),
        "detection" => (!PURPOSES.contains(&name)).then(|| format!("is none of {}", PURPOSES.join(", "))),
        _ => None,
    }
}

/// A tactic, a technique (`t1110`, `t1110.001`), a group (`g0001`), software (`s0002`), or newer kinds of objects.
fn attack(name: &str) -> Option<String> {
    if TACTICS.contains(&name) {
        return None;
    }
    let hyphens = name.replace('_', "-");
    if TACTICS.contains(&hyphens.as_str()) {
        return Some(format!("is written with hyphens since Sigma 2: `attack.{hyphens}`"));
    }
    let digits = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let known = match name.as_bytes().first() {
        Some(b't') => match name[1..].split_once('.') {
            Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
            None => digits(&name[1..], 4),
        },
        Some(b'g' | b's' | b'c' | b'm') => digits(&name[1..], 4),
        _ => false,
    };
    let kinds = "a tactic, a technique as `attack.t1110.001`, a group as `attack.g0001` or software as `attack.s0001`";
    (!known).then(|| format!("is none of ATT&CK: {kinds}"))
}

fn is_cve(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // `cve.2021.44228` is how older rules write it.
    name.split_once(['-', '.'])
        .is_some_and(|(year, number)| year.len() == 4 && digits(year) && number.len() >= 4 && digits(number))
}
