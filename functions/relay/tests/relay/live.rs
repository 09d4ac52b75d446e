//! What live clients are told.

use std::time::Duration;

use serde_json::json;
use threatstream_domain::{Frame, FrameKind, Severity};
use threatstream_relay::Config;

use crate::rig::{Rig, number};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_come_in_order_with_growing_places() {
    let rig = Rig::new(Config::default()).await;
    let mut partition = rig.partition().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(rig.greeted().await);
    }
    for size in [1, 7, 1, 300, 2] {
        partition.threats(size, Severity::Medium).await;
    }
    for client in &mut clients {
        let mut last = String::new();
        for expected in 0..partition.made {
            let frame = client.until("new_threat").await;
            assert_eq!(number(&frame), expected);
            let seq = frame["seq"].as_str().unwrap().to_owned();
            assert!(seq > last, "{seq} after {last}");
            assert!(frame["epoch"].is_string() && frame["timestamp"].is_string());
            last = seq;
        }
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_and_risk_follow_what_is_committed() {
    let rig = Rig::new(Config::default()).await;
    let mut partition = rig.partition().await;
    let mut client = rig.greeted().await;
    partition.threats(3, Severity::Critical).await;
    // The first one may have been worked out before the commit.
    let stats = loop {
        let frame = client.until("metrics_update").await;
        if frame["data"]["threats_detected"] == 3 {
            break frame;
        }
    };
    assert_eq!(stats["data"]["critical"], 3);
    assert!(stats.get("seq").is_none() && stats["timestamp"].is_string());
    let mut client = rig.greeted().await;
    partition.threats(1, Severity::Critical).await;
    let risk = client.until("risk_update").await;
    assert!(risk["data"]["value"].as_u64().unwrap() > 30, "{risk}");
    assert_eq!(risk["data"].as_object().unwrap().len(), 3, "{risk}");
    let step = client.until("risk_timeline_update").await;
    assert_eq!(step["data"]["time"].as_str().unwrap().len(), 8);
    assert!(step["data"]["risk"].is_u64() && step["data"]["timestamp"].is_string());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_let_through_what_was_asked_for() {
    let rig = Rig::new(Config::default()).await;
    let mut partition = rig.partition().await;
    let mut high = rig.greeted().await;
    high.send(json!({"type": "subscribe", "topics": ["threats"], "min_severity": "HIGH"}))
        .await;
    let mut drills = rig.greeted().await;
    drills
        .send(json!({"type": "subscribe", "topics": ["drill_update"]}))
        .await;
    drills
        .send(json!({"type": "subscribe", "topics": ["simulation"]}))
        .await;
    drills.send(json!({"type": "unsubscribe", "topics": ["drills"]})).await;
    let mut all = rig.greeted().await;
    for client in [&mut high, &mut drills, &mut all] {
        client.send(json!({"type": "ping"})).await;
        client.until("pong").await;
    }

    partition.threats(1, Severity::Medium).await;
    partition.threats(1, Severity::Critical).await;
    let frame = |kind| Frame::new(kind, None, &json!({"n": 1})).unwrap();
    partition
        .commit(
            vec![frame(FrameKind::DrillUpdate), frame(FrameKind::SimulationUpdate)],
            vec![],
            vec![],
        )
        .await;
    partition.threats(1, Severity::High).await;

    let stored = [
        "new_threat",
        "drill_update",
        "simulation_update",
        "metrics_update",
        "risk_update",
    ];
    assert_eq!(number(&high.until_any(&stored).await), 1);
    assert_eq!(number(&high.until_any(&stored).await), 2);
    assert_eq!(drills.until_any(&stored).await["type"], "simulation_update");
    let everything = ["new_threat", "drill_update", "simulation_update"];
    for expected in [
        "new_threat",
        "new_threat",
        "drill_update",
        "simulation_update",
        "new_threat",
    ] {
        assert_eq!(all.until_any(&everything).await["type"], expected);
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_come_as_frames_and_as_pings() {
    use tokio_tungstenite::tungstenite::Message;
    let rig = Rig::new(Config {
        heartbeat_interval: Duration::from_millis(200),
        ..Config::default()
    })
    .await;
    let mut client = rig.greeted().await;
    client.send(json!({"type": "unsubscribe"})).await;
    let (mut heartbeats, mut pings) = (0, 0);
    while heartbeats < 3 || pings < 3 {
        match client.message().await.unwrap() {
            Message::Ping(_) => pings += 1,
            Message::Text(text) if text.contains("\"heartbeat\"") => heartbeats += 1,
            _ => {}
        }
    }
    rig.stop().await;
}
