//! `event_count` and `value_count`.

use serde_json::json;

use super::world::{World, of};

const FIVE: &str = "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 60s\ncondition: { gte: 5 }";

#[test]
fn events_are_counted_by_group() {
    let world = World::of(FIVE);
    let joe = |at| (at, of("a"));
    let eve = |at| (at, json!({"kind": "a", "user": "eve"}));
    assert!(
        world
            .threats([joe(0), joe(1), joe(2), joe(3), eve(4), eve(5)])
            .is_empty()
    );
    let threats = world.threats([joe(0), eve(1), joe(2), joe(3), joe(4), joe(59)]);
    assert_eq!(threats.len(), 1);
    assert_eq!(
        (threats[0].event_count, threats[0].rule_ids.as_slice()),
        (5, &["id-c1".into(), "id-a".into()][..])
    );
    assert!(
        threats[0]
            .contextual_analysis
            .starts_with("5 events within 59 s; the rule asks for at least 5 in 60 s")
    );
    assert!(
        world.threats([joe(0), joe(1), joe(2), joe(3), joe(60)]).is_empty(),
        "the fifth is one too late"
    );
}

#[test]
fn an_event_that_matches_several_of_the_rules_is_one_event() {
    let both = "title: t\nid: id-both\nname: both\nlogsource: { definition: any }\ndetection: { sel: { user: joe }, condition: sel }\n";
    let counted = super::world::correlation(
        "c1",
        "type: event_count\nrules: [a, both]\ngroup-by: [user]\ntimespan: 60s\ncondition: { gte: 3 }",
    );
    let world = World::with(&[both.to_owned(), counted]);
    assert!(world.threats([(0, of("a")), (1, of("a"))]).is_empty());
    let threats = world.threats([(0, of("a")), (1, of("x")), (2, of("a"))]);
    assert_eq!(threats.len(), 1);
    assert_eq!(threats[0].rule_ids, ["id-c1", "id-a", "id-both"]);
}

#[test]
fn an_event_without_the_group_belongs_to_no_window() {
    let world = World::of(FIVE);
    let lone = |at| (at, json!({"kind": "a"}));
    let null = |at| (at, json!({"kind": "a", "user": null}));
    assert!(world.threats((0..9).map(lone).chain((0..9).map(null))).is_empty());
    let ungrouped = World::of("type: event_count\nrules: [a]\ntimespan: 60s\ncondition: { gte: 5 }");
    assert_eq!(
        ungrouped.threats((0..9).map(lone)).len(),
        1,
        "without group-by there is one window for all"
    );
}

#[test]
fn groups_of_several_fields_are_their_combinations() {
    let world = World::of(
        "type: event_count\nrules: [a]\ngroup-by: [user, 'Logon Type']\ntimespan: 60s\ncondition: { gte: 2 }",
    );
    let event = |at, user: &str, logon: u64| (at, json!({"kind": "a", "user": user, "Logon Type": logon}));
    assert!(
        world
            .threats([event(0, "joe", 3), event(1, "joe", 10), event(2, "eve", 3)])
            .is_empty()
    );
    let threats = world.threats([event(0, "joe", 3), event(1, "joe", 3)]);
    assert_eq!(threats.len(), 1, "a field's name may hold a space");
    assert!(
        threats[0]
            .evidence
            .iter()
            .any(|own| (own.field.as_str(), own.value.as_str()) == ("Logon Type", "3"))
    );
}

#[test]
fn different_values_are_counted_once_each() {
    let world =
        World::of("type: value_count\nrules: [a]\ngroup-by: [user]\ntimespan: 60s\ncondition: { field: host, gt: 2 }");
    let on = |at, host: &str| (at, json!({"kind": "a", "user": "joe", "host": host}));
    assert!(
        world
            .threats([on(0, "x"), on(1, "y"), on(2, "x"), on(3, "y")])
            .is_empty()
    );
    assert!(world.threats([on(0, "x"), on(30, "y"), on(60, "z")]).is_empty());
    let threats = world.threats([on(0, "x"), on(1, "x"), on(30, "y"), on(59, "z")]);
    assert_eq!(threats.len(), 1);
    assert!(
        threats[0]
            .contextual_analysis
            .starts_with("3 different values of host within 59 s")
    );
    assert!(
        threats[0]
            .contributing_signals
            .contains(&"value_count(host) = 3".to_owned())
    );
    assert!(
        world.threats((0..9).map(|at| (at, of("a")))).is_empty(),
        "what has no value counts for none"
    );
}

#[test]
fn values_of_several_fields_are_counted_together() {
    let world = World::of(
        "type: value_count\nrules: [a]\ngroup-by: [user]\ntimespan: 60s\ncondition: { field: [host, port], gte: 3 }",
    );
    let on = |at, host: &str, port: u16| (at, json!({"kind": "a", "user": "joe", "host": host, "port": port}));
    assert!(world.threats([on(0, "x", 1), on(1, "x", 2), on(2, "x", 1)]).is_empty());
    assert_eq!(world.threats([on(0, "x", 1), on(1, "x", 2), on(2, "y", 1)]).len(), 1);
}

#[test]
fn aliases_bring_different_fields_together() {
    let world = World::of(
        "type: event_count\nrules: [a, b]\ngroup-by: [who]\naliases:\n    who: { a: user, b: TargetUser }\ntimespan: 60s\ncondition: { gte: 2 }",
    );
    let target = |at, name: &str| (at, json!({"kind": "b", "user": "system", "TargetUser": name}));
    assert!(world.threats([(0, of("a")), target(1, "eve")]).is_empty());
    let threats = world.threats([(0, of("a")), target(1, "joe")]);
    assert_eq!(threats.len(), 1);
    assert!(
        threats[0]
            .evidence
            .iter()
            .any(|own| (own.field.as_str(), own.value.as_str()) == ("who", "joe"))
    );
}

#[test]
fn rules_alert_alone_only_where_the_correlation_says_so() {
    let generating = World::of(&format!("{FIVE}\ngenerate: true"));
    let ids = |world: &World| {
        let threats = world.threats((0..5).map(|at| (at, of("a"))));
        threats.iter().filter(|threat| threat.rule_ids == ["id-a"]).count()
    };
    assert_eq!((ids(&generating), ids(&World::of(FIVE))), (5, 0));
}
