//! A store that does not answer for a while.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use threatstream_backend::Backends;
use threatstream_domain::Severity;
use threatstream_relay::{Config, Limits};

use crate::rig::{Client, PATIENCE, Rig, number};
use crate::unreachable::{Line, Unreachable};

/// A relay whose way to the store is the line's; what is committed is committed all the same.
async fn behind(line: &Arc<Line>, limits: Limits) -> Rig {
    let config = Config {
        limits,
        ..Config::default()
    };
    let glass = |backends: Backends| Backends {
        store: Arc::new(Unreachable {
            store: Arc::clone(&backends.store),
            line: Arc::clone(line),
        }),
        ..backends
    };
    Rig::over(config, |_| {}, glass).await
}

/// Waits until so many calls more have failed.
async fn failed(line: &Line, more: usize) {
    let (until, deadline) = (line.failures() + more, Instant::now() + PATIENCE);
    while line.failures() < until {
        assert!(Instant::now() < deadline, "nothing asked the store");
        tokio::task::yield_now().await;
    }
}

/// The next threats are these, each once, and no word of starting anew comes between.
async fn applies(client: &mut Client, threats: std::ops::Range<usize>) -> serde_json::Value {
    let mut place = serde_json::Value::Null;
    for expected in threats {
        let frame = client.until_any(&["new_threat", "resync", "initial_state"]).await;
        assert_eq!(frame["type"], "new_threat", "{frame:.200}");
        assert_eq!(number(&frame), expected);
        place = json!({"epoch": frame["epoch"], "seq": frame["seq"]});
    }
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_stay_through_an_outage_and_miss_nothing_and_are_told_nothing_twice() {
    let line = Arc::new(Line::default());
    let rig = behind(&line, Limits::default()).await;
    let mut partition = rig.partition().await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(rig.greeted().await);
    }
    partition.threats(10, Severity::High).await;
    for client in &mut clients {
        applies(client, 0..10).await;
    }
    // Two outages: the way back from the first leaves nothing behind that the second would meet.
    for round in 1..=2 {
        line.cut();
        failed(&line, 1).await;
        for size in [1, 300, 7] {
            partition.threats(size, Severity::High).await;
        }
        failed(&line, 2).await;
        line.mend();
        let before = 10 + 308 * (round - 1);
        for client in &mut clients {
            applies(client, before..before + 308).await;
            client.send(json!({"type": "ping"})).await;
            client.until("pong").await;
        }
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_during_an_outage_is_told_so_once_and_served_after_it() {
    let line = Arc::new(Line::default());
    // What is missed is not in the ring: it has to be read from the feed.
    let limits = Limits {
        ring_frames: 8,
        ..Limits::default()
    };
    let rig = behind(&line, limits).await;
    let mut partition = rig.partition().await;
    let mut leaver = rig.greeted().await;
    let mut witness = rig.greeted().await;
    partition.threats(1, Severity::High).await;
    let place = applies(&mut leaver, 0..1).await;
    drop(leaver);
    for _ in 0..5 {
        partition.threats(20, Severity::High).await;
    }
    applies(&mut witness, 0..101).await;

    line.cut();
    failed(&line, 1).await;
    let mut fresh = rig.client().await;
    fresh.send(json!({"type": "handshake", "epoch": null})).await;
    let mut returned = rig.client().await;
    returned
        .send(json!({"type": "handshake", "epoch": null, "resume": place}))
        .await;
    for client in [&mut fresh, &mut returned] {
        let error = client.until_any(&["error", "initial_state", "resumed", "resync"]).await;
        assert_eq!(error["type"], "error");
        assert!(error["data"]["message"].as_str().unwrap().contains("store"), "{error}");
    }
    failed(&line, 6).await;
    partition.threats(1, Severity::High).await;
    line.mend();

    let first = fresh.until_any(&["error", "initial_state"]).await;
    assert_eq!(first["type"], "initial_state", "told once: {first:.200}");
    let resumed = returned
        .until_any(&["error", "resumed", "resync", "initial_state"])
        .await;
    assert_eq!(resumed["type"], "resumed", "{resumed:.200}");
    applies(&mut returned, 1..102).await;
    rig.stop().await;
}

/// The place of the last record is older than what the feed keeps, but nothing came after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_an_idle_feed_is_no_gap() {
    let line = Arc::new(Line::default());
    let rig = behind(&line, Limits::default()).await;
    let mut partition = rig.partition().await;
    let mut client = rig.greeted().await;
    partition.threats(1, Severity::High).await;
    applies(&mut client, 0..1).await;
    line.cut();
    failed(&line, 1).await;
    line.lose_history();
    line.mend();
    partition.threats(2, Severity::High).await;
    applies(&mut client, 1..3).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_fell_behind_is_replaced() {
    let line = Arc::new(Line::default());
    let rig = behind(&line, Limits::default()).await;
    let mut partition = rig.partition().await;
    let mut client = rig.greeted().await;
    partition.threats(1, Severity::High).await;
    applies(&mut client, 0..1).await;
    line.overtake();
    partition.threats(2, Severity::High).await;
    applies(&mut client, 1..3).await;
    rig.stop().await;
}
