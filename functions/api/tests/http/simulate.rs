//! `POST /api/simulate/event`, with an analyzer that finds what the test tells it to.

use std::time::Duration;

use serde_json::{Value, json};
use threatstream_api::Config;
use threatstream_backend::{Durability, Record};
use threatstream_domain::Threat;

use crate::world::{Answer, World, good_rules, threat};

const EVENT: &str =
    r#"{"event_id":"try-1","event_type":"brute_force","source_ip":"203.0.113.7","payload":{"attempts":50}}"#;

async fn simulate(world: &World, body: &'static str) -> Answer {
    world.post("/api/simulate/event", "application/json", body).await
}

/// Waits for the first event, and judges it as the analyzer does: matches first, checkpoint then, results last.
async fn analyze(world: &World, found: Vec<Threat>) {
    let topics = world.backends.topics.clone();
    let from: Vec<(u32, u64)> = (0..world.backends.log.partitions(&topics.raw).await.unwrap())
        .map(|partition| (partition, 0))
        .collect();
    let mut reader = world.backends.log.open(&topics.raw, &from).await.unwrap();
    let read = reader.next(1 << 20, Duration::from_secs(10)).await.unwrap();
    let record = Record {
        key: "rule".to_owned(),
        value: "match".into(),
        headers: Vec::new(),
    };
    let position = world
        .backends
        .log
        .append(&topics.matches, vec![record], Durability::Redoable)
        .await
        .unwrap()[0];
    world
        .commit(&topics.raw, read[0].partition, 1, Vec::new(), Vec::new(), 0)
        .await;
    world
        .commit(
            &topics.matches,
            position.partition,
            position.offset + 1,
            found,
            Vec::new(),
            0,
        )
        .await;
}

#[tokio::test]
async fn the_worst_threat_of_the_event_is_its_verdict() {
    let world = World::new();
    let found = |number| Threat {
        event_id: "try-1".to_owned(),
        ..threat(number)
    };
    let (answer, ()) = tokio::join!(simulate(&world, EVENT), analyze(&world, vec![found(1), found(2)]));
    let json = answer.json();
    assert_eq!(
        (answer.status.as_u16(), json["status"].clone(), json["event_id"].clone()),
        (200, json!("success"), json!("try-1"))
    );
    assert_eq!(json["threat"], serde_json::to_value(found(2)).unwrap());
    assert_eq!(json["message"], "detected BRUTE_FORCE of severity HIGH");
}

#[tokio::test]
async fn a_harmless_event_has_a_verdict_too() {
    let world = World::new();
    let (answer, ()) = tokio::join!(simulate(&world, EVENT), analyze(&world, vec![threat(7)]));
    assert_eq!(
        answer.json(),
        json!({"status": "success", "message": "analysed; no threat", "event_id": "try-1", "threat": Value::Null})
    );
}

#[tokio::test]
async fn a_verdict_that_does_not_come_is_pending() {
    let config = Config {
        verdict_wait: Duration::from_millis(60),
        ..Config::default()
    };
    let world = World::with(config, good_rules(), |options| options);
    let answer = simulate(&world, EVENT).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (202, json!({"status": "pending", "event_id": "try-1"}))
    );
    assert_eq!(world.events().await.len(), 1, "it was taken nevertheless");
}

#[tokio::test]
async fn it_must_be_one_good_event() {
    let world = World::new();
    for (body, field) in [
        ("", "body"),
        ("[]", "body"),
        (EVENT.trim_end_matches('}'), "body"),
        ("{\"event_type\":\"a\",\"source_ip\":\"x\"}", "source_ip"),
    ] {
        let answer = simulate(&world, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.fields()),
            (400, vec![field.to_owned()]),
            "{body}"
        );
    }
    assert_eq!(
        world.post("/api/simulate/event", "text/plain", EVENT).await.fields(),
        ["content-type"]
    );
    assert!(world.events().await.is_empty());
}
