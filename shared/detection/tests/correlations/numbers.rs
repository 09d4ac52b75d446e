//! `value_sum`, `value_avg`, `value_percentile`, `value_median`.

use serde_json::{Value as Json, json};
use threatstream_domain::Threat;

use super::world::World;

fn measuring(kind: &str, condition: &str) -> World {
    World::of(&format!(
        "type: {kind}\nrules: [a]\ngroup-by: [user]\ntimespan: 60s\ncondition: {{ field: bytes, {condition} }}"
    ))
}

fn threats(world: &World, list: &[(i64, f64)]) -> Vec<Threat> {
    world.threats(
        list.iter()
            .map(|(at, bytes)| (*at, json!({"kind": "a", "user": "joe", "bytes": bytes}))),
    )
}

#[test]
fn a_sum() {
    let world = measuring("value_sum", "gt: 1000");
    assert!(threats(&world, &[(0, 400.0), (1, 600.0)]).is_empty());
    let found = threats(&world, &[(0, 400.0), (1, 600.0), (59, 0.5)]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0]
            .contextual_analysis
            .starts_with("A sum of bytes of 1000.5 within 59 s; the rule asks for more than 1000")
    );
    assert!(
        found[0]
            .contributing_signals
            .contains(&"value_sum(bytes) = 1000.5".to_owned())
    );
    assert_eq!(found[0].event_count, 3);
    assert!(
        threats(&world, &[(0, 400.0), (1, 600.0), (60, 100.0)]).is_empty(),
        "the first has left the window"
    );
}

#[test]
fn tenths_add_up() {
    let world = measuring("value_sum", "gte: 0.8");
    let tenths = |count: i64| (0..count).map(|at| (at, 0.1)).collect::<Vec<_>>();
    assert!(threats(&world, &tenths(7)).is_empty());
    // After eight it is 0.7999999999999999, as doubles add up.
    assert_eq!(threats(&world, &tenths(9)).len(), 1);
}

#[test]
fn a_mean_is_that_of_the_timespan_up_to_each_event() {
    let world = measuring("value_avg", "gt: 500");
    assert!(threats(&world, &[(0, 400.0), (1, 600.0)]).is_empty());
    let found = threats(&world, &[(0, 400.0), (1, 600.0), (2, 650.0)]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0]
            .contextual_analysis
            .starts_with("A mean of bytes of 550 within 2 s")
    );
    assert_eq!(
        threats(&world, &[(0, 1.0), (59, 502.0), (60, 503.0)]).len(),
        1,
        "the first has left the window"
    );
}

#[test]
fn percentiles_and_medians() {
    let values: Vec<(i64, f64)> = (1..=20).map(|at| (at, at as f64)).collect();
    // Of 1 to 20 in order, the 90th percentile is 1 + 0.9 * 19.
    let p90 = |condition: &str| {
        threats(
            &measuring("value_percentile", &format!("percentile: 90, {condition}")),
            &values,
        )
    };
    assert_eq!(p90("gte: 18.1").len(), 1);
    assert!(p90("gt: 18.11").is_empty());
    let found = p90("gte: 18.1");
    assert!(
        found[0]
            .contributing_signals
            .iter()
            .any(|signal| signal.starts_with("value_percentile(bytes, 90) = 18.1"))
    );
    let median = |condition: &str| threats(&measuring("value_median", condition), &values).len();
    assert_eq!((median("gte: 10.5"), median("gt: 10.5")), (1, 0));
    let outlier: Vec<(i64, f64)> = (0..9).map(|at| (at, if at == 4 { 1e9 } else { 1.0 })).collect();
    assert!(
        threats(&measuring("value_median", "gt: 1"), &outlier).is_empty(),
        "one outlier moves no median"
    );
    assert_eq!(
        threats(&measuring("value_percentile", "percentile: 100, gt: 1"), &outlier).len(),
        1
    );
    assert!(threats(&measuring("value_percentile", "percentile: 0, gt: 1"), &outlier).is_empty());
}

#[test]
fn what_is_no_number_belongs_to_no_window() {
    let world = measuring("value_sum", "gte: 10");
    let with = |value: Json| (0, json!({"kind": "a", "user": "joe", "bytes": value}));
    for value in [
        json!(null),
        json!("ten"),
        json!("NaN"),
        json!("inf"),
        json!([10]),
        json!(true),
    ] {
        assert!(
            world.threats([with(value.clone()), with(json!(9))]).is_empty(),
            "{value}"
        );
    }
    assert_eq!(
        world.threats([with(json!("1")), with(json!(9))]).len(),
        1,
        "a number may be written as text"
    );
}

#[test]
fn a_late_value_counts_in_its_window() {
    let world = measuring("value_sum", "gte: 100");
    assert_eq!(threats(&world, &[(90, 50.0), (200, 1.0), (60, 50.0)]).len(), 1);
    // 10, 130, and with the late one 153 up to the last.
    let mean = measuring("value_avg", "gte: 150");
    assert!(threats(&mean, &[(10, 10.0), (20, 250.0)]).is_empty());
    assert_eq!(threats(&mean, &[(10, 10.0), (20, 250.0), (15, 200.0)]).len(), 1);
}
