//! Any text as a rule file, beside rules that its correlations and filters may name: it compiles or is set aside, no prefilter
//! loses a match of what compiled, every verdict is explained as it was given, and what fires is accounted for.
#![no_main]

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use threatstream_detection::decode::{Format, decode};
use threatstream_detection::enrich::Networks;
use threatstream_detection::judge::JudgeState;
use threatstream_detection::sigma::{Holds as _, RuleMatch, RuleSet, lint};
use threatstream_detection::{Detector, Event, Incoming, rule_tests};
use threatstream_domain::{MarkKey, Timestamp};

/// What a fuzzed correlation or filter refers to: rules that match some of the lines.
const BESIDE: &str = "title: b
name: base
id: base
logsource: {}
detection: { s: [one, Failed, cmd], condition: s }
---
title: o
name: other
id: other
logsource: {}
detection: { s: { event_type: brute_force }, t: { a: b }, condition: 1 of them }
";

const LINES: &[&str] = &[
    r#"{"event_type":"brute_force","source_ip":"203.0.113.7","destination_port":22,"payload":{"user":"root","n":4624,"f":1.5}}"#,
    r#"{"CommandLine":"cmd.exe /c whoami -a","Image":"C:\\Windows\\cmd.exe","a":"b","f":["abc",5,null,true],"g":{"h":"x"}}"#,
    r#"{"a":"\u006b\u212a\/\"\u00e9","f":"aGVsbG8=","message":"one two"}"#,
    "Mar 27 16:16:42 web sshd[1]: Failed password for root from 203.0.113.7 port 22 ssh2",
    r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /a%20b?id=1%27%20or%201=1 HTTP/1.1" 200 1 "-" "sqlmap/1.0""#,
    "one",
];

fn received_at() -> Timestamp {
    Timestamp::from_secs(1_795_338_000)
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let files = [("beside.yml", BESIDE), ("fuzzed.yml", text)].map(|(name, text)| (Cow::from(name), Cow::from(text)));
    for warning in lint(files.clone()) {
        assert!(!warning.reason.is_empty(), "a warning says nothing");
    }
    for test in rule_tests::parse(text).unwrap_or_default() {
        let _ = test.sequence().take(8).count();
    }
    let set = Arc::new(RuleSet::load(files));
    for aside in set.set_aside() {
        assert!(!aside.reason.is_empty(), "a document is set aside without a reason");
        assert_eq!(aside.file, "fuzzed.yml", "a file sets aside what lies beside it");
    }
    for rule in set.rules() {
        assert_eq!(set.rule(&rule.id).map(|found| &found.id), Some(&rule.id));
        let _ = set.correlations_of(rule).count();
    }
    for line in LINES {
        let event = decode(line, Format::Auto, received_at());
        matched(&set, line, &event);
    }
    judged(&set);
});

fn matched(set: &RuleSet, line: &str, event: &Event<'_>) {
    let ids = |found: &[RuleMatch<'_>]| found.iter().map(|found| found.rule.id.clone()).collect::<Vec<_>>();
    let found = set.matches(event);
    assert_eq!(
        ids(&found),
        ids(&set.matches_unfiltered(event)),
        "the prefilter over values loses a match of {line}"
    );
    assert!(
        found.is_empty() || set.might_match(line.as_bytes()),
        "the prefilter over bytes loses a match of {line}"
    );
    for rule in set.rules() {
        let explanation = set.explain(rule, event);
        let is_found = found.iter().any(|found| found.rule.id == rule.id);
        assert_eq!(
            explanation.matched, is_found,
            "explained otherwise than matched: {line}"
        );
        assert_eq!(explanation.failures().is_empty(), explanation.condition.holds());
    }
    for near in set.nearest(event, 4) {
        assert!(!near.explanation.matched, "what is near does not match");
    }
}

/// All lines, twice, through both stages.
fn judged(set: &Arc<RuleSet>) {
    let detector = Detector::new(set.clone(), Networks::default(), MarkKey::new("key"));
    let mut found = Vec::new();
    for (offset, line) in (0..).zip(LINES.iter().chain(LINES)) {
        let incoming = Incoming {
            value: line.as_bytes(),
            mark: None,
            logged_at: received_at(),
            origin: ("raw", 0, offset),
        };
        if let Ok(opened) = detector.open(incoming) {
            found.extend(detector.examine(&opened));
        }
    }
    let mut state = JudgeState::default();
    let (taken, judged) = state.judge(&found, &HashMap::new(), received_at(), usize::MAX);
    assert_eq!(taken, found.len());
    let tally = &judged.tally;
    let accounted = tally.stored + tally.counted + tally.suppressed + tally.duplicate;
    assert_eq!(accounted, found.len() as u64, "a match is not accounted for");
}
