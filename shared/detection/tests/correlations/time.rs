//! Late, repeated and future events.

use serde_json::json;

use super::world::{ARRIVAL, EPOCH, World, events, of};

const THREE: &str = "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 60s\ncondition: { gte: 3 }";
const ORDERED: &str = "type: temporal_ordered\nrules: [a, b]\ngroup-by: [user]\ntimespan: 60s";
const SUM: &str = "type: value_sum\nrules: [a]\ngroup-by: [user]\ntimespan: 60s\ncondition: { field: bytes, gte: 30 }";

#[test]
fn a_repeated_event_counts_once() {
    let event = |id, at, kind: &str| (id, at, json!({"kind": kind, "user": "joe", "bytes": 10}));
    for (rules, twice, thrice) in [
        (
            THREE,
            vec![event(1, 0, "a"), event(2, 1, "a"), event(1, 0, "a")],
            event(3, 2, "a"),
        ),
        (
            SUM,
            vec![event(1, 0, "a"), event(2, 1, "a"), event(2, 1, "a")],
            event(3, 2, "a"),
        ),
        (ORDERED, vec![event(1, 0, "a"), event(1, 0, "a")], event(2, 1, "b")),
    ] {
        let world = World::of(rules);
        let (threats, tally) = world.judged(&twice);
        assert_eq!((threats.len(), tally.duplicate), (0, 1), "{rules}");
        let all: Vec<_> = twice.into_iter().chain([thrice]).collect();
        assert_eq!(world.judged(&all).0.len(), 1, "{rules}");
    }
}

#[test]
fn a_late_event_counts_in_the_window_it_belongs_to() {
    let world = World::of(THREE);
    let at = |at| (at, of("a"));
    let found = world.threats([at(10), at(20), at(500), at(600), at(15)]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].event_id, "raw-0-4", "what completed it came last");
    assert!(world.threats([at(10), at(20), at(500), at(510), at(100)]).is_empty());
}

#[test]
fn the_same_threats_come_of_any_order() {
    let in_order: Vec<_> = [0, 10, 70, 75, 80, 300, 310, 359, 361].map(|at| (at, of("a"))).to_vec();
    let ids = |events: Vec<(i64, serde_json::Value)>| {
        let mut ids: Vec<String> = World::of(THREE)
            .threats(events)
            .into_iter()
            .map(|threat| threat.id)
            .collect();
        ids.sort();
        ids
    };
    let reversed = in_order.iter().rev().cloned().collect();
    let odd_first = in_order
        .iter()
        .skip(1)
        .step_by(2)
        .chain(in_order.iter().step_by(2))
        .cloned()
        .collect();
    let expected = ids(in_order.clone());
    assert!(expected.len() >= 2);
    assert_eq!(ids(reversed), expected);
    assert_eq!(ids(odd_first), expected);
}

#[test]
fn the_future_is_clamped_to_the_arrival() {
    let world = World::of(THREE);
    let far = ARRIVAL - EPOCH;
    // A clock that runs years ahead: its events happened when they came.
    let found = world.threats([far + 1_000_000, far + 2_000_000, far - 5].map(|at| (at, of("a"))));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].timestamp.as_secs(), ARRIVAL - 5);
}

#[test]
fn other_groups_and_other_years_move_no_window() {
    let world = World::of(THREE);
    let eve = |at| (at, json!({"kind": "a", "user": "eve"}));
    let joe = |at| (at, of("a"));
    let year = 86_400 * 20;
    let found = world.threats([
        joe(0),
        eve(year),
        joe(year + 1),
        joe(1),
        eve(year + 2),
        joe(year + 3),
        joe(2),
        joe(year + 5),
    ]);
    assert_eq!(found.len(), 2, "both of joe's; eve has but two");
}

#[test]
fn a_window_fires_once_and_keeps_its_last_originals() {
    let world = World::of("type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 60s\ncondition: { gte: 50 }");
    let all = events((0..55).map(|at| (at, of("a"))));
    let mut state = threatstream_detection::judge::JudgeState::default();
    let now = threatstream_domain::Timestamp::from_secs(ARRIVAL);
    let (_, judged) = state.judge(&world.all(&all), &std::collections::HashMap::new(), now, usize::MAX);
    let [(threat, originals)] = judged.threats.as_slice() else {
        panic!("one")
    };
    assert_eq!((threat.event_count, originals.len()), (50, 20));
    assert_eq!(
        (originals[0].event_id.as_str(), originals[19].event_id.as_str()),
        ("raw-0-30", "raw-0-49")
    );
}
