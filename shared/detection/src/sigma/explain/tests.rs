use std::borrow::Cow;

use threatstream_domain::Timestamp;

use super::*;
use crate::decode::{Format, decode};

const RULE: &str = r"
title: Dropper
id: dropper
logsource: { product: threatstream, category: native }
detection:
    selection:
        event_type: process
        payload.image|endswith: ['\cmd.exe', '\powershell.exe']
        payload.line|contains|all: [-enc, -nop]
    filter_signed:
        payload.signer: ACME
    filter_absent:
        payload.parent: null
    condition: selection and not 1 of filter_*
";

fn set(rules: &str) -> RuleSet {
    let set = RuleSet::load([(Cow::from("r.yml"), Cow::from(rules))]);
    assert!(set.set_aside().is_empty(), "{:?}", set.set_aside());
    set
}

fn event(raw: &str) -> Event<'_> {
    decode(raw, Format::Auto, Timestamp::from_secs(1_795_338_000))
}

fn failures(raw: &str) -> Vec<(String, String, Cause)> {
    let set = set(RULE);
    let event = event(raw);
    let explanation = set.explain(&set.rules()[0], &event);
    assert_eq!(explanation.matched, set.matches(&event).len() == 1);
    let failures = explanation.failures();
    assert_eq!(failures.is_empty(), explanation.condition.holds());
    failures
        .into_iter()
        .map(|failure| (failure.selection, failure.test.field, failure.cause))
        .collect()
}

#[test]
fn what_stands_in_the_way_is_named_and_nothing_else() {
    let matching = r#"{"event_type":"process","payload":{"image":"C:\\cmd.exe","line":"x -nop -enc y","parent":"p"}}"#;
    assert_eq!(failures(matching), []);
    let own = |selection: &str, field: &str, cause| (selection.to_owned(), field.to_owned(), cause);
    assert_eq!(
        failures(r#"{"event_type":"process","payload":{"image":"C:\\calc.exe","line":"x -nop y","parent":"p"}}"#),
        [
            own("selection", "payload.image|endswith", Cause::Differs),
            own("selection", "payload.line|contains|all", Cause::Differs)
        ]
    );
    assert_eq!(
        failures(r#"{"event_type":"process","payload":{"line":"-nop -enc","signer":"acme","parent":"p"}}"#),
        [
            own("selection", "payload.image|endswith", Cause::Missing),
            own("filter_signed", "payload.signer", Cause::Excluded)
        ]
    );
    assert_eq!(
        failures(r#"{"event_type":"process","payload":{"image":"\\cmd.exe","line":"-nop -enc"}}"#),
        [own("filter_absent", "payload.parent", Cause::Excluded)]
    );
}

#[test]
fn a_test_shows_what_the_rule_wants_and_what_the_event_has() {
    let set = set(RULE);
    let raw = r#"{"event_type":"process","payload":{"image":["a.exe",7],"line":"-nop"}}"#;
    let explanation = set.explain(&set.rules()[0], &event(raw));
    let image = &explanation.failures()[0].test;
    assert_eq!(image.wants, [r"\cmd.exe", r"\powershell.exe"]);
    assert_eq!(image.has, ["a.exe", "7"]);
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["condition"]["operator"], "and");
    assert_eq!(json["condition"]["of"][1]["operator"], "not");
    assert_eq!(json["condition"]["of"][0]["selection"], "selection");
    assert_eq!(json["selections"][0]["tests"]["of"][0]["field"], "event_type");
}

#[test]
fn another_log_source_is_said_as_such() {
    let rules = "
title: elsewhere
id: a
logsource: { product: windows, service: sysmon }
detection: { s: [whoami], condition: s }
---
title: here
id: b
logsource: { product: threatstream }
detection: { s: { event_type: shell }, t: { payload.user: root }, condition: s and t }
---
title: far
id: c
logsource: { product: threatstream }
detection: { s: { event_type: other }, condition: s }
";
    let set = set(rules);
    let event = event(r#"{"event_type":"shell","payload":{"line":"whoami"}}"#);
    assert!(set.matches(&event).is_empty());
    let near = set.nearest(&event, 10);
    let ids: Vec<_> = near
        .iter()
        .map(|near| (near.rule.id.as_str(), near.failed_selections))
        .collect();
    assert_eq!(ids, [("a", 0), ("b", 1)]);
    let parts = &near[0].explanation.logsource;
    assert!(parts.iter().all(|part| !part.holds) && parts.len() == 2);
    assert_eq!(
        (parts[0].wants.as_str(), parts[0].has.as_deref()),
        ("windows", Some("threatstream"))
    );
    assert_eq!(set.nearest(&event, 1).len(), 1);
}

#[test]
fn filters_are_explained_with_the_rule() {
    let filter = "
title: f
logsource: { product: threatstream }
filter: { rules: [dropper], mine: { payload.host: lab }, condition: not mine }
";
    let set = set(&format!("{RULE}---{filter}"));
    let raw =
        r#"{"event_type":"process","payload":{"image":"\\cmd.exe","line":"-nop -enc","parent":"p","host":"lab"}}"#;
    let failures = set.explain(&set.rules()[0], &event(raw)).failures();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].selection, "filter:mine");
}
