//! Correlations that count correlations.

use serde_json::json;
use threatstream_detection::judge::JudgeState;
use threatstream_domain::Timestamp;

use super::world::{ARRIVAL, Log, World, correlation, events, of};

/// Many failed logins, then a success: the specification's own example.
fn failed_then_successful() -> World {
    World::with(&[
        correlation(
            "c1",
            "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 10m\ncondition: { gte: 10 }",
        ),
        correlation(
            "c2",
            "type: temporal_ordered\nrules: [c1, b]\ngroup-by: [user]\ntimespan: 10m",
        ),
    ])
}

fn titles(world: &World, list: impl IntoIterator<Item = (i64, serde_json::Value)>) -> Vec<String> {
    world
        .threats(list)
        .into_iter()
        .map(|threat| threat.rule_ids.join(" "))
        .collect()
}

#[test]
fn many_failures_and_then_a_success() {
    let world = failed_then_successful();
    let failed = |count: i64| (0..count).map(|at| (at, of("a")));
    assert_eq!(titles(&world, failed(10).chain([(300, of("b"))])), ["id-c2 id-b id-c1"]);
    assert!(titles(&world, failed(9).chain([(300, of("b"))])).is_empty());
    assert!(
        titles(&world, failed(10)).is_empty(),
        "the inner correlation is no threat by itself"
    );
    assert!(titles(&world, failed(10).chain([(700, of("b"))])).is_empty());
    let before = [(0, of("b"))].into_iter().chain((5..20).map(|at| (at, of("a"))));
    assert!(titles(&world, before).is_empty(), "the success came first");
    let eve = json!({"kind": "b", "user": "eve"});
    assert!(titles(&world, failed(10).chain([(300, eve)])).is_empty());
    // Whatever the order of arrival.
    let late = [(300, of("b"))]
        .into_iter()
        .chain(failed(10).collect::<Vec<_>>().into_iter().rev());
    assert_eq!(titles(&world, late), ["id-c2 id-b id-c1"]);
}

#[test]
fn the_inner_one_alerts_where_the_outer_says_so() {
    let world = World::with(&[
        correlation(
            "c1",
            "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 1m\ncondition: { gte: 2 }",
        ),
        correlation(
            "c2",
            "type: temporal\nrules: [c1, b]\ngroup-by: [user]\ntimespan: 10m\ngenerate: true",
        ),
    ]);
    let found = titles(&world, [(0, of("a")), (1, of("a")), (2, of("b"))]);
    assert_eq!(found, ["id-c1 id-a", "id-b", "id-c2 id-b id-c1"]);
}

#[test]
fn the_outer_one_groups_by_its_own_fields() {
    let world = World::with(&[
        correlation(
            "c1",
            "type: event_count\nrules: [a]\ngroup-by: [user, host]\ntimespan: 1m\ncondition: { gte: 3 }",
        ),
        correlation(
            "c2",
            "type: value_count\nrules: [c1]\ngroup-by: [net]\naliases:\n    net: { c1: subnet }\ntimespan: 1h\ncondition: { field: host, gte: 3 }",
        ),
    ]);
    let on = |at, user: &str, host: &str| (at, json!({"kind": "a", "user": user, "host": host, "subnet": "s"}));
    let three = |at, user, host| (at..at + 3).map(move |at| on(at, user, host));
    let hosts = |hosts: [&'static str; 3]| {
        let places = hosts.into_iter().zip(["x", "y", "z"]).zip(0..);
        places
            .flat_map(|((host, user), at)| three(100 * at, user, host))
            .collect::<Vec<_>>()
    };
    assert!(titles(&world, hosts(["h1", "h2", "h2"])).is_empty());
    assert_eq!(titles(&world, hosts(["h1", "h2", "h3"])), ["id-c2 id-c1"]);
}

#[test]
fn three_deep_and_with_upper_bounds() {
    let world = World::with(&[
        correlation(
            "c1",
            "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 10s\ncondition: { eq: 2 }",
        ),
        correlation(
            "c2",
            "type: event_count\nrules: [c1]\ngroup-by: [user]\ntimespan: 100s\ncondition: { gte: 2 }",
        ),
        correlation(
            "c3",
            "type: temporal_ordered\nrules: [c2, b]\ngroup-by: [user]\ntimespan: 1000s",
        ),
    ]);
    let pairs = [0, 1, 20, 21, 22, 40, 41, 60].map(|at| (at, of("a")));
    let found = titles(&world, pairs.into_iter().chain([(90, of("b"))]));
    assert_eq!(found, ["id-c3 id-b id-c2"]);
    let threes = [0, 1, 2, 20, 21, 22, 40, 41, 60].map(|at| (at, of("a")));
    assert!(titles(&world, threes.into_iter().chain([(90, of("b"))])).is_empty());
}

#[test]
fn judging_the_same_records_again_has_its_effect_once() {
    let world = failed_then_successful();
    let all = world.all(&events((0..12).map(|at| (at, of("a"))).chain([(300, of("b"))])));
    let mut once = Log::new(1);
    once.append(all.clone());
    once.judge(100);
    // A judge that published what fired and went before its commit: who comes after it starts from the same state.
    let now = Timestamp::from_secs(ARRIVAL);
    let (_, lost) = JudgeState::default().judge(&all, &std::collections::HashMap::new(), now, usize::MAX);
    assert_eq!(lost.chained.len(), 1);
    let mut again = Log::new(1);
    again.append(all);
    again.append(lost.chained);
    again.judge(100);
    assert_eq!(again.ids(), once.ids());
    assert_eq!((once.tally.stored, again.tally.stored), (1, 1));
    assert_eq!((once.tally.duplicate, again.tally.duplicate), (0, 1));
}

#[test]
fn drills_and_attacks_do_not_meet_in_a_chain() {
    let world = failed_then_successful();
    let mut drill = world.all(&events((0..12).map(|at| (at, of("a")))));
    drill
        .iter_mut()
        .for_each(|found| found.simulation_id = Some("SIM-1".into()));
    let success = events([(300, of("b"))])
        .into_iter()
        .map(|(_, at, fields)| (99, at, fields));
    let success = world.all(&success.collect::<Vec<_>>());
    let mut log = Log::new(1);
    log.append(drill.clone());
    log.append(success.clone());
    log.judge(100);
    assert!(log.threats.is_empty());
    let mut marked = success;
    marked
        .iter_mut()
        .for_each(|found| found.simulation_id = Some("SIM-1".into()));
    let mut log = Log::new(1);
    log.append(drill);
    log.append(marked);
    log.judge(100);
    assert!(log.threats.len() == 1 && log.threats[0].simulated);
}
