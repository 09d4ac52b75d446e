//! Clients that stop reading.

use std::time::{Duration, Instant};

use serde_json::json;
use threatstream_domain::Severity;
use threatstream_relay::{Config, Limits};

use crate::rig::{PATIENCE, Rig, number};

const STUCK: usize = 8;
const FRAMES: usize = 20_000;

fn resident_mib() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096 / (1 << 20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read_cost_little_and_end_while_another_misses_nothing() {
    let limits = Limits {
        write_timeout: Duration::from_secs(2),
        catch_up: Duration::from_secs(600),
        ..Limits::default()
    };
    let rig = Rig::new(Config {
        max_connections: STUCK + 1,
        limits,
        ..Config::default()
    })
    .await;
    let mut partition = rig.partition().await;
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        stuck.push(rig.greeted().await);
    }
    let mut reader = rig.greeted().await;
    let before = resident_mib();
    let committing = tokio::spawn(async move {
        while partition.made < FRAMES {
            partition.threats(50, Severity::High).await;
        }
    });
    let mut most = 0;
    for expected in 0..FRAMES {
        assert_eq!(number(&reader.until("new_threat").await), expected);
        if expected % 500 == 0 {
            most = most.max(resident_mib());
        }
    }
    committing.await.unwrap();
    // A queue of its own for each of them would have come to 280 MiB.
    assert!(most < before + 160, "{before} MiB before, {most} MiB at most");
    // Their seats are given back, though they still hold their end open.
    let deadline = Instant::now() + PATIENCE;
    while rig.try_client().await.is_err() {
        assert!(
            Instant::now() < deadline,
            "a client that does not read still has its seat"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(stuck);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_falls_behind_is_told_to_start_anew() {
    let limits = Limits {
        catch_up: Duration::ZERO,
        write_timeout: PATIENCE,
        ..Limits::default()
    };
    let rig = Rig::new(Config {
        limits,
        ..Config::default()
    })
    .await;
    let mut partition = rig.partition().await;
    let mut slow = rig.greeted().await;
    while partition.made < FRAMES {
        partition.threats(500, Severity::High).await;
    }
    let mut last = None;
    loop {
        let frame = slow.until_any(&["new_threat", "resync"]).await;
        if frame["type"] == "resync" {
            break;
        }
        let number = number(&frame);
        assert_eq!(number, last.map_or(0, |last| last + 1));
        last = Some(number);
    }
    let state = slow.until_any(&["initial_state", "new_threat"]).await;
    assert_eq!(state["type"], "initial_state");
    // From the state on it is live again.
    slow.send(json!({"type": "ping"})).await;
    slow.until("pong").await;
    let made = partition.made;
    partition.threats(1, Severity::High).await;
    while number(&slow.until("new_threat").await) != made {}
    rig.stop().await;
}
