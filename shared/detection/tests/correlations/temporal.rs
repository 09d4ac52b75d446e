//! `temporal` and `temporal_ordered`.

use serde_json::json;

use super::world::{World, correlation, of};

fn temporal(kind: &str, more: &str) -> World {
    World::of(&format!(
        "type: {kind}\nrules: [a, b, c]\ngroup-by: [user]\ntimespan: 60s{more}"
    ))
}

/// One letter a second.
fn found(world: &World, kinds: &str) -> usize {
    let events = kinds.chars().zip(0..).filter(|(kind, _)| *kind != '.');
    world
        .threats(events.map(|(kind, at)| (at, of(&kind.to_string()))))
        .len()
}

#[test]
fn without_a_condition_all_rules_must_match() {
    let world = temporal("temporal", "");
    assert_eq!(found(&world, "ab"), 0);
    assert_eq!(found(&world, "aabba"), 0, "one rule twice is no other rule");
    assert_eq!(found(&world, "cab"), 1);
    assert_eq!(found(&world, "a..b...ccc"), 1);
    let threats = world.threats([(50, of("c")), (70, of("a")), (109, of("b"))]);
    assert_eq!(threats.len(), 1, "wherever the window lies");
    assert_eq!(threats[0].rule_ids, ["id-c1", "id-a", "id-b", "id-c"]);
    assert!(
        threats[0]
            .contributing_signals
            .contains(&"matched by id-a, id-b, id-c".to_owned())
    );
    assert!(world.threats([(50, of("c")), (70, of("a")), (110, of("b"))]).is_empty());
}

#[test]
fn groups_are_kept_apart() {
    let world = temporal("temporal", "");
    let eve = json!({"kind": "c", "user": "eve"});
    assert!(world.threats([(0, of("a")), (1, of("b")), (2, eve)]).is_empty());
}

#[test]
fn a_number_of_different_rules() {
    let world = temporal("temporal", "\ncondition: { gte: 2 }");
    assert_eq!((found(&world, "aaa"), found(&world, "aac")), (0, 1));
    let more = temporal("temporal", "\ncondition: { gt: 2 }");
    assert_eq!((found(&more, "aab"), found(&more, "bca")), (0, 1));
}

#[test]
fn an_expression_over_rules() {
    let world = temporal("temporal", "\ncondition: a and (b or c)");
    assert_eq!(
        (found(&world, "bc"), found(&world, "ca"), found(&world, "ab")),
        (0, 1, 1)
    );
    let any = temporal("temporal", "\ncondition: 1 of them");
    assert_eq!(found(&any, "b"), 1);
    let ordered = temporal("temporal_ordered", "\ncondition: a and (b or c)");
    assert_eq!(
        (found(&ordered, "ca"), found(&ordered, "ac"), found(&ordered, "ba")),
        (0, 1, 0)
    );
}

#[test]
fn order_is_that_of_time() {
    let world = temporal("temporal_ordered", "");
    assert_eq!(
        (found(&world, "abc"), found(&world, "acb"), found(&world, "cba")),
        (1, 0, 0)
    );
    assert_eq!(found(&world, "bacbac"), 1, "what stands between does not matter");
    let late = world.threats([(3, of("c")), (2, of("b")), (1, of("a"))]);
    assert_eq!(late.len(), 1, "they came in the reverse of their order");
    assert!(world.threats([(1, of("c")), (2, of("b")), (3, of("a"))]).is_empty());
    assert_eq!(
        world.threats([(1, of("c")), (1, of("b")), (1, of("a"))]).len(),
        1,
        "at the same time is in order"
    );
}

#[test]
fn a_number_of_rules_in_their_order() {
    let world = temporal("temporal_ordered", "\ncondition: { gte: 2 }");
    assert_eq!(
        (found(&world, "cba"), found(&world, "bca"), found(&world, "acb")),
        (0, 1, 1)
    );
}

#[test]
fn one_event_may_match_several_rules() {
    let wide = "title: t\nid: id-wide\nname: wide\nlogsource: { definition: any }\ndetection: { sel: { user: joe }, condition: sel }\n";
    for kind in ["temporal", "temporal_ordered"] {
        let both = correlation(
            "c1",
            &format!("type: {kind}\nrules: [a, wide]\ngroup-by: [user]\ntimespan: 60s"),
        );
        let world = World::with(&[wide.to_owned(), both]);
        assert_eq!(found(&world, "x"), 0, "{kind}");
        assert_eq!(found(&world, "a"), 1, "{kind}: it counts for each");
    }
}

#[test]
fn aliases_group_by_different_fields() {
    let world = World::of(
        "type: temporal\nrules: [a, b]\ngroup-by: [inside, outside]\naliases:\n    inside: { a: dst, b: src }\n    outside: { a: src, b: dst }\ntimespan: 10s",
    );
    let event = |at, kind: &str, src: &str, dst: &str| (at, json!({"kind": kind, "src": src, "dst": dst}));
    assert!(
        world
            .threats([event(0, "a", "x", "y"), event(1, "b", "x", "y")])
            .is_empty()
    );
    assert_eq!(
        world.threats([event(0, "a", "x", "y"), event(1, "b", "y", "x")]).len(),
        1
    );
}

#[test]
fn what_goes_on_fires_once_a_timespan() {
    let world = temporal("temporal_ordered", "");
    let rounds = (0..180).map(|at| (at, of(["a", "b", "c"][at as usize % 3])));
    assert_eq!(world.threats(rounds).len(), 3);
}
