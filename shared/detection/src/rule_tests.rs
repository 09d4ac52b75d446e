//! Tests that come with rules: lines that a rule must match, lines much like them that it must not, and sequences after
//! which a correlation must have fired. They lie beside the rules, in `NAME.tests.yml`:
//!
//! ```yaml
//! tests:
//!     - rule: ssh_failed_login      # an id, a name or a title
//!       match:
//!           - 'Dec 10 07:28:08 web sshd[4]: Failed password for root from 203.0.113.7 port 5 ssh2'
//!       no_match:
//!           - 'Dec 10 07:28:08 web sshd[4]: Accepted password for root from 203.0.113.7 port 5 ssh2'
//!     - rule: SSH Brute Force
//!       events:                     # in the order in which they arrive
//!           - 'Dec 10 07:28:0{n} web sshd[4]: Failed password for root from 203.0.113.7 port 5 ssh2'
//!       repeat: 5                   # rounds; {n} is the number of the round
//!       fires: 1
//! ```
//!
//! An event is a line as it is logged, or a map that stands for a JSON object. Without `fires` a sequence must make its rule
//! fire at least once.

use serde::Deserialize;
use threatstream_domain::Timestamp;

use crate::decode::{Format, decode};
use crate::sigma::RuleSet;
use crate::yaml_to_json;

/// The most events of a sequence.
const MAX_EVENTS: usize = 100_000;

/// One test of one rule.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTest {
    /// The rule or correlation, by id, name or title.
    pub rule: String,
    /// What is tried, for people.
    #[serde(default)]
    pub name: Option<String>,
    /// How the events are read.
    #[serde(default)]
    pub format: Format,
    /// When the events are taken to arrive: it settles the year of times that have none.
    #[serde(default = "received_at")]
    pub received_at: Timestamp,
    /// Events that the rule must match, each by itself.
    #[serde(default, rename = "match")]
    pub matching: Vec<Sample>,
    /// Events that the rule must not match.
    #[serde(default, rename = "no_match")]
    pub other: Vec<Sample>,
    /// Events that arrive one after another.
    #[serde(default)]
    pub events: Vec<Sample>,
    /// How often they do; `{n}` in them is the number of the round then, from 1.
    #[serde(default)]
    pub repeat: Option<usize>,
    /// How many threats of the rule the sequence must end in.
    #[serde(default)]
    pub fires: Option<u64>,
}

/// An event of a test.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "serde_json::Value")]
pub struct Sample(String);

impl From<serde_json::Value> for Sample {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::String(line) => Self(line),
            other => Self(other.to_string()),
        }
    }
}

impl Sample {
    /// The line.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.0
    }
}

/// Reads a file of tests.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Vec<RuleTest>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        tests: Vec<RuleTest>,
    }
    let file: File = serde_json::from_value(yaml_to_json(text)?).map_err(|error| error.to_string())?;
    for test in &file.tests {
        if test.matching.is_empty() && test.other.is_empty() && test.events.is_empty() {
            return Err(format!(
                "the test of `{}` has neither `match` nor `no_match` nor `events`",
                test.rule
            ));
        }
        if (test.fires.is_some() || test.repeat.is_some()) && test.events.is_empty() {
            return Err(format!(
                "the test of `{}` has `fires` or `repeat` and no `events`",
                test.rule
            ));
        }
        if test.events.len().saturating_mul(test.repeat.unwrap_or(1)) > MAX_EVENTS {
            return Err(format!("the test of `{}` has more than {MAX_EVENTS} events", test.rule));
        }
    }
    Ok(file.tests)
}

impl RuleTest {
    /// The id of the rule or correlation it is about, in this set.
    #[must_use]
    pub fn target<'r>(&self, rules: &'r RuleSet) -> Option<&'r str> {
        let wanted = self.rule.as_str();
        let rule = rules.rules().iter();
        let mut named = rule.map(|rule| (&rule.id, rule.name.as_deref(), &rule.title));
        let correlation = rules.correlations().iter();
        let mut also = correlation.map(|own| (&own.id, own.name.as_deref(), &own.title));
        let is_it = |(id, name, title): &(&String, Option<&str>, &String)| {
            *id == wanted || *name == Some(wanted) || *title == wanted
        };
        let (id, ..) = named.find(is_it).or_else(|| also.find(is_it))?;
        Some(id)
    }

    /// The lines of the sequence, in their order.
    pub fn sequence(&self) -> impl Iterator<Item = String> {
        let rounds = 1..=self.repeat.unwrap_or(1);
        rounds.flat_map(move |round| {
            self.events.iter().map(move |sample| match self.repeat {
                Some(_) => sample.raw().replace("{n}", &round.to_string()),
                None => sample.raw().to_owned(),
            })
        })
    }

    /// What is wrong with the rule's verdicts on single events; nothing where all are as they must be.
    #[must_use]
    pub fn check_single(&self, rules: &RuleSet) -> Vec<String> {
        let Some(id) = self.target(rules) else {
            return vec![format!("there is no rule `{}`", self.rule)];
        };
        let wanted = self.matching.iter().map(|sample| (sample, true));
        let unwanted = self.other.iter().map(|sample| (sample, false));
        let mut wrong = Vec::new();
        for (sample, must) in wanted.chain(unwanted) {
            let event = decode(sample.raw(), self.format, self.received_at);
            let found = rules.matches(&event).iter().any(|found| found.rule.id == id);
            // The platform scans a line before it decodes it.
            let seen = found && rules.might_match(sample.raw().as_bytes());
            match (must, found, seen) {
                (true, false, _) => wrong.push(format!("does not match {}", sample.raw())),
                (true, true, false) => wrong.push(format!("is lost by the scan of {}", sample.raw())),
                (false, true, _) => wrong.push(format!("matches {}", sample.raw())),
                _ => {}
            }
        }
        wrong
    }
}

/// Times in tests that have no year are of 2026.
fn received_at() -> Timestamp {
    // 2026-12-31T12:00:00Z
    Timestamp::from_secs(1_798_718_400)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    const RULE: &str = "title: T\nid: t\nname: n\nlogsource: { product: threatstream }\ndetection: { s: { event_type: shell }, condition: s }\n";

    fn check(tests: &str) -> Result<Vec<String>, String> {
        let rules = RuleSet::load([(Cow::from("r.yml"), Cow::from(RULE))]);
        Ok(parse(tests)?
            .iter()
            .flat_map(|test| test.check_single(&rules))
            .collect())
    }

    #[test]
    fn verdicts_are_held_against_what_they_must_be() {
        let good = "tests:\n  - { rule: n, match: [{ event_type: shell }], no_match: ['{\"event_type\":\"other\"}', shell] }\n";
        assert_eq!(check(good), Ok(Vec::new()));
        let swapped = good
            .replace("no_match", "x")
            .replace("match", "no_match")
            .replace("x:", "match:");
        assert_eq!(check(&swapped).unwrap().len(), 3);
        assert_eq!(
            check("tests: [{ rule: absent, match: [x] }]").unwrap(),
            ["there is no rule `absent`"]
        );
    }

    #[test]
    fn a_sequence_is_played_in_rounds() {
        let tests =
            parse("tests: [{ rule: n, events: ['a{n}', b], repeat: 2 }, { rule: n, events: ['{n}'] }]").unwrap();
        assert_eq!(tests[0].sequence().collect::<Vec<_>>(), ["a1", "b", "a2", "b"]);
        assert_eq!(tests[1].sequence().collect::<Vec<_>>(), ["{n}"]);
    }

    #[test]
    fn a_test_that_says_nothing_is_refused() {
        for (text, expected) in [
            ("tests: [{ rule: n }]", "neither"),
            ("tests: [{ rule: n, matches: [x] }]", "unknown field"),
            ("tests: [{ match: [x] }]", "missing field `rule`"),
            ("tests: [{ rule: n, match: [x], fires: 1 }]", "no `events`"),
            ("tests: [{ rule: n, events: [x, y], repeat: 9999999 }]", "more than"),
            ("test: []", "unknown field"),
            ("[", "YAML"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
