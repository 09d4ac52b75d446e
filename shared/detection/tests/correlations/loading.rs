//! What loads as a correlation, and why something does not.

use std::time::Duration;

use threatstream_detection::sigma::{Bound, Comparison, Condition, CorrelationKind};
use threatstream_domain::ThreatType;

use super::world::{correlation, load, reasons, rule};

const GROUPED: &str = "group-by: [user]\ntimespan: 5m";

#[test]
fn correlations_find_their_rules_by_name_and_by_id() {
    let a = rule("a").replace("logsource", "tags: [attack.t1110]\nlogsource");
    let own = correlation(
        "c",
        &format!("type: event_count\nrules: [a, id-b, id-a]\n{GROUPED}\ncondition: {{ gt: 9 }}"),
    );
    // The correlation comes in a file before its rules.
    let set = load(&[own, a, rule("b")]);
    assert_eq!(reasons(&set), Vec::<&str>::new());
    let [own] = set.correlations() else { panic!("one") };
    assert_eq!(own.rules, ["id-a", "id-b"]);
    assert_eq!(
        (own.timespan, own.generate, own.alerts_alone),
        (Duration::from_secs(300), false, true)
    );
    assert_eq!(
        (own.kind.clone(), own.group_by.as_slice()),
        (CorrelationKind::EventCount, &["user".to_owned()][..])
    );
    let bound = Bound {
        is: Comparison::Gt,
        value: 9.0,
    };
    assert_eq!(own.condition, Condition::Bounds(vec![bound]));
    assert_eq!(
        (own.threat_type, own.techniques.as_slice()),
        (ThreatType::BruteForce, &["T1110".to_owned()][..])
    );
    assert!(set.rules().iter().all(|rule| !rule.alerts_alone));
    let over = set.correlations_of(set.rule("id-b").expect("a rule"));
    assert_eq!(over.map(|own| own.id.as_str()).collect::<Vec<_>>(), ["id-c"]);
}

#[test]
fn every_type_loads() {
    for (section, kind) in [
        ("type: event_count\ncondition: { gte: 1 }", "event_count"),
        ("type: value_count\ncondition: { field: f, gte: 1 }", "value_count"),
        ("type: temporal", "temporal"),
        ("type: temporal\ncondition: a or b", "temporal"),
        ("type: temporal_ordered", "temporal_ordered"),
        ("type: temporal_ordered\ncondition: { gte: 2 }", "temporal_ordered"),
        ("type: value_sum\ncondition: { field: f, gt: 1.5 }", "value_sum"),
        ("type: value_avg\ncondition: { field: f, lt: -1 }", "value_avg"),
        (
            "type: value_percentile\ncondition: { field: f, gt: 1, percentile: 99.9 }",
            "value_percentile",
        ),
        (
            "type: value_median\ncondition: { field: f, gte: 1, lte: 2 }",
            "value_median",
        ),
    ] {
        let set = load(&[
            rule("a"),
            rule("b"),
            correlation("c", &format!("{section}\nrules: [a, b]\n{GROUPED}")),
        ]);
        assert_eq!(reasons(&set), Vec::<&str>::new(), "{section}");
        assert_eq!(set.correlations()[0].kind.name(), kind);
    }
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    for (section, expected) in [
        (
            "type: event_count\nrules: [z]\ncondition: { gte: 1 }",
            "counts the rule `z`, which is not loaded",
        ),
        (
            "type: event_count\nrules: [a]\ncondition: { gte: 0 }",
            "nothing having happened",
        ),
        (
            "type: event_count\nrules: [a]\ncondition: { lt: 1 }",
            "nothing can satisfy it",
        ),
        (
            "type: event_count\nrules: [a]\ncondition: { gt: 5, lt: 6 }",
            "nothing can satisfy it",
        ),
        (
            "type: value_sum\nrules: [a]\ncondition: { field: f, gt: 6, lt: 5 }",
            "nothing can satisfy it",
        ),
        (
            "type: temporal\nrules: [a, b]\ncondition: { gte: 3 }",
            "nothing can satisfy it",
        ),
        (
            "type: event_count\nrules: [a]\ncondition: { gte: many }",
            "`correlation.condition.gte`: text instead of a number",
        ),
        (
            "type: event_count\nrules: [a]\ncondition: { gte: 1.5 }",
            "`correlation.condition.gte`: 1.5 instead of a whole number",
        ),
        (
            "type: event_count\nrules: [a]\ncondition: { field: f }",
            "has none of `gt`",
        ),
        (
            "type: event_count\nrules: [a]\ncondition: { field: f, gte: 1 }",
            "does not go with `event_count`",
        ),
        (
            "type: event_count\nrules: [a]\ncondition: { gte: 1, most: 2 }",
            "`most` is unknown",
        ),
        ("type: event_count\nrules: [a]", "`correlation.condition`: is missing"),
        ("type: event_count\nrules: [a]\ncondition: a", "text instead of a map"),
        (
            "type: event_count\ncondition: { gte: 1 }",
            "`correlation.rules`: is missing",
        ),
        ("rules: [a]\ncondition: { gte: 1 }", "`correlation.type`: is missing"),
        ("type: odd\nrules: [a]\ncondition: { gte: 1 }", "`odd` is unknown"),
        (
            "type: value_count\nrules: [a]\ncondition: { gte: 1 }",
            "`value_count` needs it",
        ),
        (
            "type: value_count\nrules: [a]\ncondition: { field: f, gte: 10001 }",
            "at most 10000 are counted",
        ),
        (
            "type: value_sum\nrules: [a]\ncondition: { field: [f, g], gte: 1 }",
            "several fields do not go with `value_sum`",
        ),
        (
            "type: value_percentile\nrules: [a]\ncondition: { field: f, gte: 1 }",
            "`correlation.condition.percentile`: is missing",
        ),
        (
            "type: value_percentile\nrules: [a]\ncondition: { field: f, gte: 1, percentile: 101 }",
            "from 0 to 100",
        ),
        (
            "type: value_avg\nrules: [a]\ncondition: { field: f, gte: 1, percentile: 5 }",
            "does not go with `value_avg`",
        ),
        (
            "type: temporal\nrules: [a, b]\ncondition: a and not b",
            "may still come",
        ),
        (
            "type: temporal\nrules: [a, b]\ncondition: a and z",
            "no search identifier `z`",
        ),
        ("type: temporal_ordered\nrules: [a, b, a]", "the rule `a` comes twice"),
        ("type: temporal\nrules: [a, id-a]", "names the rule `id-a` twice"),
        (
            "type: event_count\nrules: [a]\ncondition: { gte: 1 }\nwindow: tumbling",
            "`correlation.window`: is unknown",
        ),
        (
            "type: event_count\nrules: [a]\ncondition: { gte: 1 }\naliases: { x: { b: y } }",
            "`b` is none of the rules",
        ),
        (
            "type: temporal\nrules: [a, b]\naliases: { x: { a: y } }",
            "`correlation.aliases.x`: has no field for the rule `b`",
        ),
        (
            "type: event_count\nrules: [a]\ncondition: { gte: 1 }\naliases: [x]",
            "a list instead of a map",
        ),
        (
            "type: event_count\nrules: [c]\ncondition: { gte: 1 }",
            "which counts it in turn",
        ),
    ] {
        let set = load(&[rule("a"), rule("b"), correlation("c", &format!("{section}\n{GROUPED}"))]);
        assert!(set.correlations().is_empty() && set.rules().len() == 2, "{section}");
        assert!(reasons(&set)[0].contains(expected), "{section}: {:?}", reasons(&set));
        // A rule made to be counted does not flood when its counting does not load.
        let is_named = section.contains("[a");
        assert_eq!(set.rule("id-a").expect("a rule").alerts_alone, !is_named, "{section}");
    }
    for (timespan, expected) in [("5x", "does not end in"), ("0m", "no time at all"), ("", "is missing")] {
        let section = format!("type: event_count\nrules: [a]\ncondition: {{ gte: 1 }}\ntimespan: {timespan}");
        let set = load(&[rule("a"), correlation("c", &section)]);
        assert!(reasons(&set)[0].contains(expected), "{:?}", reasons(&set));
    }
}

fn counting(name: &str, rules: &str) -> String {
    correlation(
        name,
        &format!("type: event_count\nrules: {rules}\n{GROUPED}\ncondition: {{ gte: 1 }}"),
    )
}

#[test]
fn chains_load_in_any_order_and_cycles_do_not() {
    let set = load(&[
        counting("c3", "[c2]"),
        counting("c1", "[a]"),
        counting("c2", "[c1, id-a]"),
        rule("a"),
    ]);
    assert_eq!(reasons(&set), Vec::<&str>::new());
    let alone: Vec<bool> = set.correlations().iter().map(|own| own.alerts_alone).collect();
    assert_eq!(alone, [false, false, true]);
    let over = |id: &str| {
        let inner = set.correlation(id).expect("a correlation");
        set.correlations_over(inner)
            .map(|own| own.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!((over("id-c1"), over("id-c3")), (vec!["id-c2".to_owned()], vec![]));

    let cycle = load(&[
        counting("c1", "[c3]"),
        counting("c2", "[c1]"),
        counting("c3", "[c2]"),
        counting("c4", "[c1]"),
        rule("a"),
    ]);
    let mut expected = vec![
        "it counts the correlation `c1`, which counts it in turn",
        "it counts the correlation `c1`, which is not loaded",
        "it counts the correlation `c2`, which counts it in turn",
        "it counts the correlation `c3`, which counts it in turn",
    ];
    let mut given = reasons(&cycle);
    given.sort_unstable();
    expected.sort_unstable();
    assert_eq!(given, expected);

    let broken = load(&[counting("c1", "[z]"), counting("c2", "[c1]")]);
    assert!(
        reasons(&broken)[1].contains("counts the correlation `c1`, which is not loaded"),
        "{:?}",
        reasons(&broken)
    );
}

#[test]
fn chains_are_bounded() {
    let chain = |length: usize| {
        let own = (0..length).map(|n| {
            counting(
                &format!("c{n:05}"),
                &if n == 0 {
                    "[a]".into()
                } else {
                    format!("[c{:05}]", n - 1)
                },
            )
        });
        load(&own.chain([rule("a")]).collect::<Vec<_>>())
    };
    assert_eq!(chain(8).correlations().len(), 8);
    // However long, it costs no stack.
    let long = chain(5_000);
    assert_eq!((long.correlations().len(), long.set_aside().len()), (8, 4_992));
    assert!(reasons(&long)[0].contains("a chain of more than 8 correlations"));
    let wide = (0..40).map(|n| counting(&format!("c{n}"), "[inner]"));
    let wide = load(&wide.chain([rule("a"), counting("inner", "[a]")]).collect::<Vec<_>>());
    assert_eq!(wide.correlations().len(), 33);
    assert!(reasons(&wide)[0].contains("more than 32 ways"));
}

#[test]
fn names_and_ids_are_one_each() {
    let again = counting("c1", "[a]").replace("name: c1", "name: other");
    let set = load(&[rule("a"), counting("c1", "[a]"), again]);
    assert!(
        reasons(&set)[0].contains("the id `id-c1` is taken by 01.yml"),
        "{:?}",
        reasons(&set)
    );
    let named = counting("c2", "[a]").replace("name: c2", "name: c1");
    let set = load(&[rule("a"), counting("c1", "[a]"), named, counting("c3", "[c1]")]);
    assert!(
        reasons(&set)[0].contains("two rules have the name `c1`"),
        "{:?}",
        reasons(&set)
    );
}
