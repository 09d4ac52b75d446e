//! From YAML to a playbook that can run.

use serde_json::{Map, Value};
use threatstream_detection::yaml_to_json;

use super::parameters::{ParameterError, kind};
use super::{Playbook, Trigger};

/// The most bytes a playbook may have.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// The most steps.
const MAX_STEPS: usize = 20;

/// Why a playbook cannot be used. Trying again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaybookError {
    /// No YAML, or more of it than a playbook needs.
    #[error("not a YAML document: {0}")]
    Yaml(String),
    /// A field has a value that is not allowed.
    #[error("{field}: {message}")]
    Field {
        /// Its path, as `trigger.threat_types[0]`.
        field: String,
        /// What is wrong and what is allowed.
        message: String,
    },
}

impl From<ParameterError> for PlaybookError {
    fn from(error: ParameterError) -> Self {
        Self::Field {
            field: error.field,
            message: error.message,
        }
    }
}

pub(super) fn parse(yaml: &str) -> Result<Playbook, PlaybookError> {
    if yaml.len() > MAX_BYTES {
        return Err(PlaybookError::Yaml(format!("it is longer than {MAX_BYTES} bytes")));
    }
    // By way of JSON, whose errors can be given the path of the field.
    let value: Value = yaml_to_json(yaml).map_err(|error| PlaybookError::Yaml(one_line(&error)))?;
    let playbook: Playbook = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        PlaybookError::Field {
            field: if path == "." { "playbook".to_owned() } else { path },
            message: one_line(&error.inner().to_string()),
        }
    })?;
    check(&playbook)?;
    Ok(playbook)
}

fn check(playbook: &Playbook) -> Result<(), ParameterError> {
    let refuse = |field: &str, message: &str| Err(ParameterError::new(field, message));
    let id = |text: &str, extra: char| {
        (1..=64).contains(&text.len())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == extra)
    };
    if !id(&playbook.id, '-') {
        return refuse("id", "expected 1 to 64 lower-case letters, digits and hyphens");
    }
    if playbook.name.trim().is_empty() || playbook.name.len() > 200 {
        return refuse("name", "expected a text of 1 to 200 bytes");
    }
    if let Some(trigger) = &playbook.trigger {
        check_trigger(trigger)?;
    }
    for (name, value) in &playbook.parameters {
        let field = format!("parameters.{name}");
        if !id(name, '_') {
            return refuse(&field, "expected a name of lower-case letters, digits and underscores");
        }
        if kind(value).is_none() {
            return refuse(&field, "expected a whole number, a text, true or false");
        }
    }
    if !(1..=MAX_STEPS).contains(&playbook.steps.len()) {
        return refuse("steps", "expected 1 to 20 steps");
    }
    for (at, step) in playbook.steps.iter().enumerate() {
        if step.name.trim().is_empty() || step.name.len() > 200 {
            return refuse(&format!("steps[{at}].name"), "expected a text of 1 to 200 bytes");
        }
    }
    playbook.actions(&Map::new()).map(drop)
}

fn check_trigger(trigger: &Trigger) -> Result<(), ParameterError> {
    if trigger.threat_types.is_empty() {
        return Err(ParameterError::new(
            "trigger.threat_types",
            "expected at least one threat type",
        ));
    }
    for (at, technique) in trigger.techniques.iter().enumerate() {
        let (base, sub) = technique.split_once('.').unwrap_or((technique, "001"));
        let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
        if !base.strip_prefix('T').is_some_and(|rest| digits(rest, 4)) || !digits(sub, 3) {
            let message = "expected an ATT&CK technique such as T1110 or T1110.001";
            return Err(ParameterError::new(format!("trigger.techniques[{at}]"), message));
        }
    }
    Ok(())
}

/// A message may quote the file; it ends up in a list and on a terminal.
fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(400)
        .collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "id: pb-x\nname: X\ntrigger: {threat_types: [DDOS], min_severity: LOW, techniques: [T1498]}\n\
        parameters: {minutes: 5}\nsteps:\n  - {name: Block, action: block_source, with: {minutes: $minutes}}\n";

    #[test]
    fn errors_name_the_field_and_what_is_allowed() {
        parse(GOOD).unwrap();
        for (from, to, parts) in [
            (
                "threat_types: [DDOS]",
                "threat_types: [DDOS, FLOOD]",
                &["trigger.threat_types[1]", "FLOOD", "DDOS"][..],
            ),
            (
                "threat_types: [DDOS]",
                "threat_types: []",
                &["trigger.threat_types", "at least one"],
            ),
            (
                "min_severity: LOW",
                "min_severity: low",
                &["trigger.min_severity", "CRITICAL"],
            ),
            ("min_severity: LOW, ", "", &["trigger", "min_severity"]),
            ("T1498", "T1498.1", &["trigger.techniques[0]", "T1110.001"]),
            (
                "action: block_source",
                "action: explode",
                &["steps[0].action", "explode", "block_source", "webhook"],
            ),
            (
                "with: {minutes: $minutes}",
                "with: {hours: 1}",
                &["steps[0].with", "hours", "minutes"],
            ),
            (
                "with: {minutes: $minutes}",
                "with: {minutes: $hours}",
                &["steps[0].with.minutes", "hours"],
            ),
            (
                "with: {minutes: $minutes}",
                "with: {minutes: 0}",
                &["steps[0].with.minutes", "1 to 525600"],
            ),
            (
                "with: {minutes: $minutes}",
                "with: {minutes: soon}",
                &["steps[0].with.minutes", "soon"],
            ),
            ("with: {minutes: $minutes}", "when: now", &["steps[0]", "when", "with"]),
            (
                "parameters: {minutes: 5}",
                "parameters: {minutes: [5]}",
                &["parameters.minutes", "whole number"],
            ),
            ("id: pb-x", "id: PB X", &["id", "lower-case"]),
            ("id: pb-x", "idd: pb-x", &["idd", "`id`"]),
            ("name: X", "name: ''", &["name", "1 to 200"]),
            ("id: pb-x\n", "id: pb-x\nid: pb-y\n", &["YAML", "id"]),
            ("name: X\n", "name: X\napproval: maybe\n", &["approval", "required"]),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = parse(&GOOD.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{to}: {error}");
        }
    }

    #[test]
    fn hostile_files_are_refused_quickly() {
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
            d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
        for yaml in [
            bomb,
            &"[".repeat(60_000),
            &"x".repeat(MAX_BYTES + 1),
            "",
            "---\n",
            "- 1",
            "\u{0}",
            "id: \u{1b}[31m",
        ] {
            let error = parse(yaml).unwrap_err().to_string();
            assert!(error.len() < 1000 && !error.contains('\u{1b}'), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}|[-a-z:\\[\\]{}&*$ \\n]{0,200}") {
            let _ = parse(&text);
        }
    }
}
