//! Tests in our own form: `NAME.tests.yml` beside the rules.

use std::sync::Arc;

use threatstream_detection::Detector;
use threatstream_detection::enrich::Networks;
use threatstream_detection::rule_tests::{RuleTest, parse};
use threatstream_detection::sigma::RuleSet;
use threatstream_domain::MarkKey;

use super::{Outcome, Status};
use crate::scan::Origin;
use crate::scan::lines::Event;
use crate::scan::pipeline::Pipeline;

/// Runs the tests of a file.
pub(super) fn run(file: &str, text: &str, rules: &Arc<RuleSet>) -> Vec<Outcome> {
    match parse(text) {
        Ok(tests) => tests.iter().map(|test| one(file, test, rules)).collect(),
        Err(reason) => vec![Outcome {
            status: Status::Failed,
            file: file.to_owned(),
            rule: String::new(),
            test: String::new(),
            detail: format!("the file of tests cannot be read: {reason}"),
        }],
    }
}

fn one(file: &str, test: &RuleTest, rules: &Arc<RuleSet>) -> Outcome {
    let mut wrong = test.check_single(rules);
    if let Some(id) = test.target(rules)
        && !test.events.is_empty()
    {
        wrong.extend(sequence(test, id, rules));
    }
    let counts = [
        (test.matching.len(), "to match"),
        (test.other.len(), "not to match"),
        (test.sequence().count(), "in a sequence"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let what = counts
        .map(|(count, what)| format!("{count} {what}"))
        .collect::<Vec<_>>()
        .join(", ");
    Outcome {
        status: if wrong.is_empty() {
            Status::Passed
        } else {
            Status::Failed
        },
        file: file.to_owned(),
        rule: test.rule.clone(),
        test: test.name.clone().unwrap_or(what),
        detail: wrong.join("; "),
    }
}

/// The sequence through both stages, as `scan` runs them: what is wrong with how often the rule fires.
fn sequence(test: &RuleTest, id: &str, rules: &Arc<RuleSet>) -> Option<String> {
    // No line of a test carries a mark; the key is never asked.
    let detector = Detector::new(rules.clone(), Networks::default(), MarkKey::new(Vec::new()));
    let mut pipeline = Pipeline::new(detector, test.format, test.received_at);
    let mut findings = Vec::new();
    for (line, raw) in (1..).zip(test.sequence()) {
        let origin = Origin {
            file: "events".into(),
            line,
        };
        findings.extend(pipeline.push(Event { origin, raw: Some(raw) }));
    }
    findings.extend(pipeline.end());
    // The first is the rule whose threat it is; the others are what it counted.
    let of_rule = |ids: &[String]| ids.first().is_some_and(|own| own == id);
    let fired = findings
        .iter()
        .filter(|finding| of_rule(&finding.threat.rule_ids))
        .count() as u64;
    match test.fires {
        Some(wanted) if wanted != fired => Some(format!("fires {fired} times instead of {wanted}")),
        None if fired == 0 => Some("does not fire".to_owned()),
        _ => None,
    }
}
