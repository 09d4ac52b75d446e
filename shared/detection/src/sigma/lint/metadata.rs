//! What a rule says about itself.

use super::texts;
use crate::yaml::Node;

const STATUS: [&str; 5] = ["stable", "test", "experimental", "deprecated", "unsupported"];
const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];
const RELATIONS: [&str; 6] = ["correlation", "derived", "merged", "obsolete", "renamed", "similar"];
/// Characters that a title may have, by the specification.
const TITLE_LENGTH: usize = 256;
/// What is written for what is meant.
const MISSPELLED: [(&str, &str); 12] = [
    ("analysis", "description"),
    ("authors", "author"),
    ("created", "date"),
    ("detections", "detection"),
    ("false_positives", "falsepositives"),
    ("falsepositive", "falsepositives"),
    ("log_source", "logsource"),
    ("logsources", "logsource"),
    ("reference", "references"),
    ("severity", "level"),
    ("tag", "tags"),
    ("updated", "modified"),
];

pub(super) fn check(rule: &Node, found: &mut Vec<String>) {
    identity(rule, found);
    if let Node::Map(entries) = rule {
        for (name, _) in entries {
            if let Some((_, meant)) = MISSPELLED.iter().find(|(wrong, _)| wrong == name) {
                found.push(format!("`{name}` is no attribute of Sigma; `{meant}` is"));
            }
        }
    }
    if rule.get("filter").is_none() {
        closed(rule, "status", &STATUS, found);
        closed(rule, "level", &LEVELS, found);
    }
    if rule.get("detection").is_some() {
        logsource(rule.get("logsource"), found);
    }
    dates(rule, found);
    for attribute in ["references", "tags", "falsepositives", "fields"] {
        let mut seen = Vec::new();
        for text in texts(rule, attribute) {
            if seen.contains(&text) {
                found.push(format!("`{attribute}`: `{text}` comes twice"));
            }
            seen.push(text);
        }
    }
    if let Some(section) = rule.get("correlation")
        && texts(section, "group-by").is_empty()
    {
        found.push("`correlation.group-by` is missing: all events count in one window".to_owned());
    }
}

fn identity(rule: &Node, found: &mut Vec<String>) {
    match rule.get("title").and_then(Node::text) {
        None => found.push("`title` is missing".to_owned()),
        Some(title) if title.chars().count() > TITLE_LENGTH => {
            found.push(format!("`title` is longer than {TITLE_LENGTH} characters"));
        }
        Some(_) => {}
    }
    match rule.get("id").and_then(Node::text) {
        None => found.push("`id` is missing; a UUID names the rule for good".to_owned()),
        Some(id) if !is_uuid(id.trim()) => found.push(format!("`id`: `{id}` is no UUID")),
        Some(_) => {}
    }
    let related = match rule.get("related") {
        Some(Node::List(items)) => items.as_slice(),
        Some(Node::Null) | None => &[],
        Some(other) => {
            found.push(format!("`related`: {} instead of a list", other.kind()));
            &[]
        }
    };
    for relation in related {
        match relation.get("id").and_then(Node::text) {
            Some(id) if is_uuid(id.trim()) => {}
            _ => found.push("`related`: an entry without a UUID as its `id`".to_owned()),
        }
        match relation.get("type").and_then(Node::text) {
            Some(own) if RELATIONS.contains(&own) => {}
            own => found.push(format!(
                "`related.type`: `{}` is none of {}",
                own.unwrap_or_default(),
                RELATIONS.join(", ")
            )),
        }
    }
}

fn closed(rule: &Node, attribute: &str, allowed: &[&str], found: &mut Vec<String>) {
    let text = match rule.get(attribute) {
        None | Some(Node::Null) => {
            return found.push(format!("`{attribute}` is missing: one of {}", allowed.join(", ")));
        }
        Some(node) => node.text().unwrap_or_default().trim().to_ascii_lowercase(),
    };
    if !allowed.contains(&text.as_str()) {
        found.push(format!("`{attribute}`: `{text}` is none of {}", allowed.join(", ")));
    } else if text == "deprecated" {
        found.push("`status`: the rule is deprecated; `related` may name what took its place".to_owned());
    }
}

fn logsource(source: Option<&Node>, found: &mut Vec<String>) {
    let Some(source) = source else { return };
    let parts = ["category", "product", "service"].map(|part| source.get(part).and_then(Node::text));
    if parts.iter().all(Option::is_none) {
        found.push("`logsource` names no category, product or service: the rule is tried on every event".to_owned());
    }
    for text in parts.into_iter().flatten() {
        if text.chars().any(|c| c.is_uppercase() || c.is_whitespace()) {
            found.push(format!(
                "`logsource`: `{text}` is written in lower case, without spaces"
            ));
        }
    }
}

fn dates(rule: &Node, found: &mut Vec<String>) {
    let mut read = |attribute: &str| {
        let text = rule.get(attribute)?.text().unwrap_or_default().trim().to_owned();
        if is_date(&text, '-') {
            return Some(text);
        }
        let fixed = text.replace('/', "-");
        let advice = if is_date(&fixed, '-') {
            format!("; write {fixed}")
        } else {
            String::new()
        };
        found.push(format!("`{attribute}`: `{text}` is no date as 2026-11-22{advice}"));
        None
    };
    let (date, modified) = (read("date"), read("modified"));
    if rule.get("date").is_none() && rule.get("filter").is_none() {
        found.push("`date` is missing".to_owned());
    }
    // Of two dates in this form the later is the greater text.
    if let (Some(date), Some(modified)) = (date, modified)
        && modified < date
    {
        found.push(format!("`modified`: {modified} is before `date`, {date}"));
    }
}

fn is_date(text: &str, separator: char) -> bool {
    let parts: Vec<&str> = text.split(separator).collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let number = |text: &str, length: usize| {
        let digits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<u32>().ok() } else { None }
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
