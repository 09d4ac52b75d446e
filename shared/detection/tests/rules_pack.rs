//! Every built-in rule: that it loads, what it finds, and what it leaves alone.

use std::borrow::Cow;
use std::collections::BTreeSet;

use threatstream_detection::decode::{Format, decode};
use threatstream_detection::mitre::technique;
use threatstream_detection::pack;
use threatstream_detection::rule_tests::{RuleTest, parse};
use threatstream_detection::sigma::RuleSet;
use threatstream_domain::Timestamp;

fn load() -> RuleSet {
    RuleSet::load(pack::builtin().map(|(name, text)| (Cow::Borrowed(name), Cow::Borrowed(text))))
}

fn titles(rules: &RuleSet, line: &str) -> Vec<String> {
    let received_at: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let event = decode(line, Format::Auto, received_at);
    let found: Vec<_> = rules
        .matches(&event)
        .iter()
        .map(|found| found.rule.title.clone())
        .collect();
    let all: Vec<_> = rules
        .matches_unfiltered(&event)
        .iter()
        .map(|found| found.rule.title.clone())
        .collect();
    assert_eq!(found, all, "the prefilter loses nothing: {line}");
    assert!(
        found.is_empty() || rules.might_match(line.as_bytes()),
        "nor does the scan of the line: {line}"
    );
    found
}

#[test]
fn every_rule_loads_and_is_complete() {
    let rules = load();
    assert_eq!(rules.set_aside(), [], "none is set aside");
    assert!(rules.rules().len() + rules.correlations().len() >= 40);
    let mut ids = BTreeSet::new();
    for rule in rules.rules() {
        assert!(
            ids.insert(&rule.id) && rule.id.len() == 36,
            "{} has an id of its own",
            rule.title
        );
        assert!(!rule.techniques.is_empty(), "{} names a technique", rule.title);
        assert!(
            rule.techniques.iter().all(|id| technique(id).is_some()),
            "{}: {:?}",
            rule.title,
            rule.techniques
        );
        assert!(
            !rule.false_positives.is_empty(),
            "{} says what else it may be",
            rule.title
        );
        assert!(
            !rule.alerts_alone || !rule.recommended_actions.is_empty(),
            "{} says what to do",
            rule.title
        );
    }
    for correlation in rules.correlations() {
        assert!(
            ids.insert(&correlation.id),
            "{} has an id of its own",
            correlation.title
        );
        assert!(
            correlation.techniques.iter().all(|id| technique(id).is_some()),
            "{}",
            correlation.title
        );
        assert!(
            !correlation.recommended_actions.is_empty(),
            "{} says what to do",
            correlation.title
        );
    }
}

#[test]
fn every_rule_finds_what_it_is_for_and_leaves_its_neighbour_alone() {
    let rules = load();
    let tests: Vec<RuleTest> = pack::tests()
        .flat_map(|(name, text)| parse(text).unwrap_or_else(|reason| panic!("{name}: {reason}")))
        .collect();
    let wrong: Vec<String> = tests
        .iter()
        .flat_map(|test| {
            test.check_single(&rules)
                .into_iter()
                .map(|wrong| format!("{} {wrong}", test.rule))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for rule in rules.rules() {
        let own = |test: &&RuleTest| test.target(&rules) == Some(&rule.id);
        let (found, left) = tests.iter().filter(own).fold((0, 0), |(found, left), test| {
            (found + test.matching.len(), left + test.other.len())
        });
        assert!(found > 0 && left > 0, "{} has an example of either", rule.title);
    }
}

#[test]
fn no_rule_makes_every_line_worth_a_parse() {
    let rules = load();
    let unfiltered: Vec<_> = rules.unfiltered().map(|rule| rule.title.as_str()).collect();
    assert!(
        unfiltered.is_empty(),
        "these need a text that the line must show: {unfiltered:?}"
    );
}

#[test]
fn ordinary_work_is_no_threat() {
    let rules = load();
    for line in [
        "Mar 27 17:08:36 web sshd[14516]: Accepted publickey for ubuntu from 10.0.0.9 port 58981 ssh2: RSA SHA256:Kl8kPGZrTiz7g4FO1hyqHdsSBBb5Fge6NWOobN03XJg",
        "Mar 27 16:17:29 web sudo: pam_unix(sudo:session): session opened for user root by ubuntu(uid=0)",
        "Mar 27 17:31:29 web sudo:   ubuntu : TTY=pts/0 ; PWD=/usr/share/filebeat ; USER=root ; COMMAND=/usr/bin/filebeat.sh -e -modules=system -setup",
        "Mar 27 16:17:01 web CRON[3550]: pam_unix(cron:session): session opened for user root by (uid=0)",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /select/union?order=by&from=here HTTP/1.1" 200 1 "-" "Mozilla/5.0""#,
        r#"{"event_type":"login","source_ip":"203.0.113.7","payload":{"user":"ana","success":true}}"#,
        r#"{"event_type":"brute_force","source_ip":"203.0.113.7"}"#,
        r#"{"event_type":"sql_injection","payload":{"query":"hello"}}"#,
    ] {
        let found = titles(&rules, line);
        assert!(found.is_empty(), "{found:?} in {line}");
    }
}
