//! `/api/kafka`, over the embedded log.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::World;

fn topic<'a>(list: &'a Value, name: &str) -> &'a Value {
    let topics = list["topics"].as_array().unwrap();
    topics.iter().find(|topic| topic["name"] == name).unwrap()
}

#[tokio::test]
async fn the_embedded_log_says_what_it_is() {
    let world = World::new();
    world.post("/api/events", "text/plain", "a\nb\nc").await;
    let answer = world.get("/api/kafka/cluster").await;
    assert_eq!(answer.status, 200);
    let cluster = answer.json();
    assert_eq!(
        (&cluster["kind"], &cluster["brokers"]),
        (&json!("embedded"), &json!([]))
    );
    assert_eq!(cluster["topics"].as_array().unwrap().len(), 6);
    let partitions = topic(&cluster, "security.raw.logs")["partitions"]
        .as_array()
        .unwrap()
        .clone();
    let appended: u64 = partitions
        .iter()
        .map(|partition| partition["high"].as_u64().unwrap())
        .sum();
    assert_eq!((partitions.len(), appended), (4, 3));
    assert!(partitions.iter().all(|partition| partition["committed"].is_null()));
    assert_eq!(world.get("/api/kafka/cluster?topic=x").await.status, 400);
}

#[tokio::test]
async fn lag_and_rates_are_measured() {
    let world = World::new();
    let raw = "security.raw.logs";
    world.post("/api/events", "text/plain", "a\nb\nc\nd\ne\nf\ng\nh").await;
    let first = world.get("/api/kafka/stream-status").await;
    assert_eq!(first.status, 200);
    let first = first.json();
    insta::assert_json_snapshot!(topic(&first, raw), @r#"
    {
      "appended": 8,
      "committed_lag": null,
      "lag": 8,
      "measured_over_seconds": null,
      "name": "security.raw.logs",
      "partitions": 4,
      "records": 8,
      "records_per_second": null
    }
    "#);
    assert_eq!(topic(&first, "security.dead.letters")["lag"], json!(null));
    assert_eq!(
        (&first["kind"], &first["processed_last_minute"]),
        (&json!("embedded"), &json!(0))
    );

    // One partition is worked to its end, five more lines come, ten seconds pass.
    let marks = world.backends.log.watermarks(raw).await.unwrap();
    let (partition, worked) = (0..).zip(marks).find(|(_, marks)| marks.high > 0).unwrap();
    world
        .commit(raw, partition, worked.high, Vec::new(), Vec::new(), 0)
        .await;
    world.post("/api/events", "text/plain", "i\nj\nk\nl\nm").await;
    world.clock.advance(Duration::from_secs(10));
    let second = world.get("/api/kafka/stream-status").await.json();
    let status = topic(&second, raw);
    assert_eq!(
        (&status["records_per_second"], &status["measured_over_seconds"]),
        (&json!(0.5), &json!(10.0))
    );
    assert_eq!(status["lag"].as_u64().unwrap(), 13 - worked.high);
    // Nothing was appended to the others, and that was measured.
    assert_eq!(topic(&second, "security.matches")["records_per_second"], json!(0.0));
}
