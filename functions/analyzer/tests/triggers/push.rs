//! `POST /`.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use threatstream_analyzer::Mode;
use threatstream_domain::MarkKey;

use crate::world::{KEY, World, event, line};

/// The raw topic's records as a connector sends them.
async fn records(world: &World) -> Vec<Value> {
    let topic = &world.backends.topics.raw;
    let records = world.records(topic).await;
    let wire = |(partition, record): &(u32, threatstream_backend::LoggedRecord)| {
        json!({
            "key": record.key,
            "value": String::from_utf8_lossy(&record.value),
            "topic": topic,
            "partition": partition,
            "offset": record.offset,
            "timestamp": record.timestamp.as_millis(),
        })
    };
    records.iter().map(wire).collect()
}

fn opened(world: &World) -> usize {
    world.log.opened.load(Ordering::SeqCst)
}

#[tokio::test]
async fn records_at_the_checkpoint_are_used_without_reading_the_log() {
    let world = World::new(2);
    let analyzer = world.analyzer(Mode::Push, "a");
    world.post(0..20).await;
    let all = records(&world).await;
    let report = analyzer.push(&json!(all)).await;
    assert_eq!(
        (&report["status"], &report["events_pushed"], &report["events_matched"]),
        (&json!("drained"), &json!(20), &json!(20))
    );
    assert_eq!(opened(&world), 0, "the raw topic was not read");
    assert_eq!(
        world.stored().await,
        report["threats_stored"].as_u64().expect("a count")
    );

    // One object alone, its value as an object, as text, and as base64.
    for (at, form) in ["object", "text", "base64"].into_iter().enumerate() {
        world.post(20 + at..21 + at).await;
        let all_now = records(&world).await;
        let mut new = all_now
            .into_iter()
            .find(|record| record["key"] == format!("e{}", 20 + at))
            .expect("it is there");
        let text = new["value"].as_str().expect("text").to_owned();
        new["value"] = match form {
            "object" => serde_json::from_str(&text).expect("JSON"),
            "base64" => json!(STANDARD.encode(&text)),
            _ => json!(text),
        };
        let report = analyzer.push(&new).await;
        assert_eq!(
            (&report["events_pushed"], &report["events_matched"]),
            (&json!(1), &json!(1)),
            "{form}"
        );
    }
    assert_eq!(opened(&world), 0, "the raw topic was not read");
    let ledger = world.ledger().await;
    assert_eq!(
        (ledger.matching.matched, ledger.matching.dead_lettered, ledger.pending),
        (23, 0, 0)
    );
}

#[tokio::test]
async fn a_gap_is_read_from_the_log() {
    let world = World::new(1);
    let analyzer = world.analyzer(Mode::Push, "a");
    world.post(0..10).await;
    let all = records(&world).await;
    // The first three never came; then two with a hole after them.
    let report = analyzer.push(&json!(all[3..])).await;
    assert_eq!(
        (&report["events_pushed"], &report["events_matched"]),
        (&json!(0), &json!(10))
    );
    assert_eq!(opened(&world), 1);
    world.post(10..20).await;
    let all = records(&world).await;
    let holed: Vec<&Value> = all[10..12].iter().chain(&all[15..]).collect();
    let report = analyzer.push(&json!(holed)).await;
    assert_eq!(
        (&report["events_pushed"], &report["events_matched"]),
        (&json!(2), &json!(10))
    );
    let ledger = world.ledger().await;
    assert_eq!(
        (ledger.matching.matched, ledger.matching.lost, ledger.pending),
        (20, 0, 0)
    );
}

#[tokio::test]
async fn the_same_push_delivered_three_times_counts_once() {
    let world = World::new(2);
    let analyzers = [world.analyzer(Mode::Push, "a"), world.analyzer(Mode::Push, "b")];
    world.post(0..30).await;
    let body = json!(records(&world).await);
    let reports = tokio::join!(
        analyzers[0].push(&body),
        analyzers[1].push(&body),
        analyzers[0].push(&body)
    );
    let ledger = world.ledger().await;
    assert_eq!(
        (ledger.matching.matched, ledger.matching.duplicate, ledger.pending),
        (30, 0, 0),
        "{reports:?}"
    );
    let stored = world.stored().await;
    // What is behind the checkpoint is done: nothing is written.
    let file = world.file();
    let before = file.version();
    for analyzer in &analyzers {
        let report = analyzer.push(&body).await;
        assert_eq!(
            (&report["status"], &report["events_matched"]),
            (&json!("idle"), &json!(0))
        );
    }
    assert_eq!(file.version(), before);
    assert_eq!(world.stored().await, stored);
}

#[tokio::test]
async fn values_without_a_place_are_appended_first_and_known_again() {
    let world = World::new(2);
    let analyzer = world.analyzer(Mode::Push, "a");
    let native = json!({"event_id": "n1", "event_type": "login", "source_ip": "203.0.113.9"});
    // Two lines are the same: a flood's lines all count.
    let body = json!([line(0), line(1), line(1), native]);
    for delivery in 0..3 {
        let report = analyzer.push(&body).await;
        assert_eq!(
            (&report["appended"], &report["events_matched"]),
            (&json!(4), &json!(4)),
            "{report}"
        );
        let ledger = world.ledger().await;
        let matching = &ledger.matching;
        assert_eq!(
            (matching.ingested, matching.duplicate),
            (4 * (delivery + 1), 4 * delivery)
        );
        assert_eq!(matching.clean + matching.matched, 4);
    }
    // One bare value, a line that is no JSON, and an envelope that says its own id.
    analyzer.push(&json!(line(2))).await;
    assert_eq!(analyzer.send("/", line(3)).await.0, 200);
    let enveloped = event("own", &line(4), "test", None).value;
    analyzer.push(&json!([STANDARD.encode(&enveloped)])).await;
    let ids: Vec<String> = world
        .records(&world.backends.topics.raw)
        .await
        .into_iter()
        .map(|(_, record)| record.key)
        .collect();
    assert!(
        ids.contains(&"own".to_owned()) && ids.contains(&"n1".to_owned()),
        "{ids:?}"
    );
    // A record of another topic is known by its place there.
    let foreign = json!({"topic": "other", "partition": 9, "offset": 5, "value": line(5)});
    analyzer.push(&foreign).await;
    analyzer.push(&foreign).await;
    let ledger = world.ledger().await;
    assert_eq!(
        (ledger.matching.duplicate, ledger.matching.dead_lettered, ledger.pending),
        (9, 0, 0)
    );
}

fn envelope_of(id: &str, sender: &str) -> String {
    String::from_utf8_lossy(&event(id, &line(0), sender, None).value).into_owned()
}

#[tokio::test]
async fn poison_is_kept_and_answered_with_success() {
    let world = World::new(2);
    let analyzer = world.analyzer(Mode::Push, "a");
    let raw = world.backends.topics.raw.clone();
    let poison = [
        r#"[{"topic": "#.to_owned(),
        "[null]".to_owned(),
        json!({"topic": raw, "partition": -1, "offset": 0, "value": "x"}).to_string(),
        json!({"topic": raw, "partition": 99, "offset": 0, "value": "x"}).to_string(),
        json!(["a".repeat(300 * 1024)]).to_string(),
        // Envelopes that somebody made: more than the log takes, beside a short event.
        json!([envelope_of(&"i".repeat(3 << 20), "test")]).to_string(),
        json!({"topic": "other", "partition": 0, "offset": 0, "value": envelope_of("e", &"s".repeat(3 << 20))})
            .to_string(),
    ];
    for (at, body) in poison.iter().enumerate() {
        let (status, report) = analyzer.send("/", body.clone()).await;
        assert_eq!(
            (status.as_u16(), &report["dead_lettered"]),
            (200, &json!(1)),
            "{report}"
        );
        assert_eq!(world.records(&world.backends.topics.dead_letters).await.len(), at + 1);
    }
    for (_, record) in world.records(&world.backends.topics.dead_letters).await {
        assert!(record.header("dead-letter-reason").is_some());
        assert!(record.value.len() <= 256 * 1024);
    }
    // A record of the topic that is no event goes the way of all records.
    world.append(vec![event("empty", " ", "test", None)]).await;
    let report = analyzer.push(&json!(records(&world).await)).await;
    assert_eq!(report["status"], "drained");
    assert_eq!(world.ledger().await.matching.dead_lettered, 1);
    let (status, problem) = analyzer.send("/", format!("[{}1]", "1,".repeat(60_000))).await;
    assert_eq!(status, 413, "{problem}");
}

#[tokio::test]
async fn a_record_that_the_log_does_not_have_moves_nothing() {
    let world = World::new(1);
    let analyzer = world.analyzer(Mode::Push, "a");
    let raw = &world.backends.topics.raw;
    let invented = |offset: u64| json!({"topic": raw, "partition": 0, "offset": offset, "value": line(1)});
    assert_eq!(analyzer.push(&invented(0)).await["status"], "idle");
    world.post(0..3).await;
    let mut all = records(&world).await;
    all.push(invented(3));
    let report = analyzer.push(&json!(all)).await;
    assert_eq!(
        (&report["events_pushed"], &report["events_matched"]),
        (&json!(3), &json!(3))
    );
    world.post(3..4).await;
    assert_eq!(
        analyzer.drain().await["events_matched"],
        1,
        "the real one is not passed over"
    );
}

#[tokio::test]
async fn a_simulated_event_keeps_its_mark() {
    let world = World::new(1);
    let analyzer = world.analyzer(Mode::Push, "a");
    let marks = MarkKey::new(KEY);
    let records_of = (0..12).map(|id| {
        let line = line(id * 7);
        let mark = marks.mark("SIM-1", id as u64, &line);
        event(&format!("s{id}"), &line, "simulator", Some(mark))
    });
    world.append(records_of.collect()).await;
    let report = analyzer.push(&json!(records(&world).await)).await;
    assert_eq!(
        (&report["events_pushed"], &report["events_matched"]),
        (&json!(0), &json!(12))
    );
    let query = threatstream_backend::ThreatQuery {
        limit: 100,
        ..Default::default()
    };
    let threats = world.backends.store.threats(&query).await.expect("threats").items;
    assert!(!threats.is_empty());
    assert!(threats.iter().all(|threat| threat.simulated));
}
