//! A client that is cut and comes back.

use serde_json::json;
use threatstream_domain::Severity;
use threatstream_relay::{Config, Limits};

use crate::rig::{Client, Rig, number};

fn amount() -> usize {
    std::env::var("THREATSTREAM_TEST_THREATS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000)
}

/// Cuts a client every so often while threats are committed in records of several sizes, and has it resume each time.
async fn cut_and_resume(config: Config) {
    let amount = amount();
    let rig = Rig::new(config).await;
    let mut partition = rig.partition().await;
    let mut client = rig.client().await;
    client.send(json!({"type": "handshake", "epoch": null})).await;
    let state = client.until("initial_state").await;
    let epoch = state["epoch"].clone();
    let mut place = state["seq"].clone();

    let committing = tokio::spawn(async move {
        for size in [1, 37, 2, 113, 500, 5].into_iter().cycle() {
            partition
                .threats(size.min(amount - partition.made), Severity::High)
                .await;
            if partition.made == amount {
                return;
            }
        }
    });
    let (mut applied, mut cuts, mut left) = (0, 0, 50);
    while applied < amount {
        if left == 0 {
            cuts += 1;
            left = [3, 611, 1, 140, 1999, 64][cuts % 6];
            client = resumed(&rig, client, json!({"epoch": epoch, "seq": place})).await;
        }
        let frame = client.next().await;
        if let Some(seq) = frame.get("seq") {
            assert_eq!(frame["type"], "new_threat", "{frame:.200}");
            assert_eq!(number(&frame), applied, "after {cuts} cuts");
            assert!(seq.as_str() > place.as_str(), "{seq} after {place}");
            place = seq.clone();
            applied += 1;
            left -= 1;
        }
    }
    committing.await.unwrap();
    assert!(cuts > amount / 1000, "{cuts}");
    // Nothing more comes: the next threat is the next frame of the store's.
    client = resumed(&rig, client, json!({"epoch": epoch, "seq": place})).await;
    client.send(json!({"type": "ping"})).await;
    loop {
        let frame = client.next().await;
        assert!(frame.get("seq").is_none(), "{frame:.200}");
        if frame["type"] == "pong" {
            break;
        }
    }
    rig.stop().await;
}

async fn resumed(rig: &Rig, old: Client, place: serde_json::Value) -> Client {
    // Without a word: the connection is cut, not closed.
    drop(old);
    let mut client = rig.client().await;
    client
        .send(json!({"type": "handshake", "epoch": place["epoch"], "resume": place}))
        .await;
    let first = client.next().await;
    assert_eq!(first["type"], "resumed", "{first:.200}");
    assert_eq!((&first["seq"], &first["epoch"]), (&place["seq"], &place["epoch"]));
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_threat_is_applied_once_and_in_order_out_of_the_ring() {
    cut_and_resume(Config::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_threat_is_applied_once_and_in_order_out_of_the_feed() {
    // So small that everything missed is read from the store, and a live client is overtaken now and then.
    let limits = Limits {
        ring_frames: 40,
        catch_up: std::time::Duration::from_secs(600),
        ..Limits::default()
    };
    cut_and_resume(Config {
        limits,
        ..Config::default()
    })
    .await;
}
