//! Upper bounds: what is decided when a window is over.

use serde_json::json;
use threatstream_domain::Threat;

use super::world::{World, of};

fn counting(condition: &str) -> World {
    World::of(&format!(
        "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 100s\ncondition: {{ {condition} }}"
    ))
}

/// So many events, one a second, and one long after them.
fn burst(world: &World, count: i64) -> Vec<Threat> {
    world.threats((0..count).chain([10_000]).map(|at| (at, of("a"))))
}

#[test]
fn ranges() {
    let world = counting("gt: 10, lte: 20");
    let found = |count| burst(&world, count).len();
    assert_eq!([10, 11, 20, 21, 90].map(found), [0, 1, 1, 0, 0]);
    let threat = &burst(&world, 15)[0];
    assert_eq!((threat.event_count, threat.event_id.as_str()), (15, "raw-0-14"));
    assert!(
        threat
            .contextual_analysis
            .starts_with("15 events within 14 s; the rule asks for more than 10 and at most 20")
    );
}

#[test]
fn each_bound() {
    let found = |condition: &str, count| burst(&counting(condition), count).len();
    assert_eq!([4, 5, 6].map(|count| found("lt: 5", count)), [1, 0, 0]);
    assert_eq!([4, 5, 6].map(|count| found("lte: 5", count)), [1, 1, 0]);
    assert_eq!([4, 5, 6].map(|count| found("eq: 5", count)), [0, 1, 0]);
    assert_eq!([4, 5, 6].map(|count| found("neq: 5", count)), [1, 0, 1]);
    assert_eq!([4, 5, 6].map(|count| found("gte: 5, neq: 6", count)), [0, 1, 0]);
}

#[test]
fn nothing_is_decided_while_more_may_come() {
    let world = counting("lt: 5");
    assert!(world.threats([(0, of("a")), (50, of("a")), (99, of("a"))]).is_empty());
    // Only its own group's events move a window on.
    let eve = json!({"kind": "a", "user": "eve"});
    assert!(world.threats([(0, of("a")), (50_000, eve)]).is_empty());
    // A late event still counts: a window waits for a tenth of its length.
    let late = |last| {
        world
            .threats([0, 1, 2, 3, last, 99, 10_000].map(|at| (at, of("a"))))
            .len()
    };
    assert_eq!(late(109), 1, "five events are in the first window, one in the next");
    assert_eq!(late(110), 2, "by then the first was over with four");
}

#[test]
fn the_next_event_opens_the_next_window() {
    let world = counting("eq: 2");
    let found = world.threats([0, 99, 100, 150, 199, 200, 250, 10_000].map(|at| (at, of("a"))));
    let spans: Vec<i64> = found
        .iter()
        .map(|threat| threat.timestamp.as_secs() - super::world::EPOCH)
        .collect();
    assert_eq!(spans, [99, 250], "two, three, two");
}

#[test]
fn other_measures_with_upper_bounds() {
    let measure = |kind: &str, condition: &str, values: &[f64]| {
        let world = World::of(&format!(
            "type: {kind}\nrules: [a]\ngroup-by: [user]\ntimespan: 100s\ncondition: {{ field: bytes, {condition} }}"
        ));
        let event = |(at, bytes): (i64, f64)| (at, json!({"kind": "a", "user": "joe", "bytes": bytes}));
        let events = (0..).zip(values.iter().copied()).chain([(10_000, 7.0)]).map(event);
        world.threats(events).len()
    };
    assert_eq!(measure("value_sum", "lt: 10", &[4.0, 5.0]), 1);
    assert_eq!(measure("value_sum", "lt: 10", &[4.0, 6.0]), 0);
    assert_eq!(measure("value_avg", "gte: 4, lt: 5", &[4.0, 5.0]), 1);
    assert_eq!(measure("value_avg", "gte: 4, lt: 5", &[4.0, 6.0]), 0);
    assert_eq!(measure("value_count", "eq: 2", &[4.0, 4.0, 6.0]), 1);
    assert_eq!(measure("value_count", "eq: 2", &[4.0, 5.0, 6.0]), 0);
    assert_eq!(measure("value_median", "lte: 4", &[1.0, 4.0, 9.0]), 1);
    assert_eq!(
        measure("value_percentile", "percentile: 75, lte: 6", &[1.0, 4.0, 9.0]),
        0
    );
}

#[test]
fn fewer_rules_than_all() {
    for (kind, expected) in [("temporal", 0), ("temporal_ordered", 1)] {
        let world = World::of(&format!(
            "type: {kind}\nrules: [a, b]\ngroup-by: [user]\ntimespan: 100s\ncondition: {{ eq: 1 }}"
        ));
        assert_eq!(
            world.threats([(0, of("b")), (1, of("a")), (10_000, of("a"))]).len(),
            expected,
            "{kind}"
        );
    }
}
