//! How a client gets its state.

use serde_json::{Value, json};
use threatstream_domain::Severity;
use threatstream_relay::Config;

use crate::rig::Rig;

fn check_state(frame: &Value) {
    let data = &frame["data"];
    for list in ["threats", "alerts", "risk_timeline"] {
        assert!(data[list].is_array(), "{list} in {frame}");
    }
    for (part, field) in [
        ("risk_index", "level"),
        ("stats", "processed"),
        ("dashboard_stats", "avg_detect_time"),
        ("simulation", "status"),
    ] {
        assert!(data[part].get(field).is_some(), "{part}.{field} in {frame}");
    }
    assert_eq!(data["stats"], data["dashboard_stats"]);
    assert!(frame["seq"].is_string() && frame["epoch"].is_string() && frame["timestamp"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_a_request_and_silence_are_answered_by_the_state() {
    let rig = Rig::new(Config::default()).await;
    let mut partition = rig.partition().await;
    partition.threats(60, Severity::High).await;

    let mut silent = rig.client().await;
    let mut client = rig.client().await;
    client
        .send(json!({"type": "handshake", "epoch": {"anything": [1, null]}}))
        .await;
    let state = client.until("initial_state").await;
    check_state(&state);
    assert_eq!(state["data"]["threats"].as_array().unwrap().len(), 50);
    assert_eq!(state["data"]["stats"]["threats_detected"], 60);

    client.send(json!({"type": "request_state"})).await;
    check_state(&client.until("initial_state").await);
    check_state(&silent.until("initial_state").await);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_says_nothing_is_answered_by_resync_and_the_state() {
    let rig = Rig::with(Config::default(), |options| options.max_feed_records = 5).await;
    let mut partition = rig.partition().await;
    let mut client = rig.greeted().await;
    partition.threats(2, Severity::High).await;
    let frame = client.until("new_threat").await;
    let (epoch, seq) = (frame["epoch"].clone(), frame["seq"].as_str().unwrap().to_owned());
    let (place, _) = seq.rsplit_once('.').unwrap();
    for resume in [
        json!({"epoch": "another", "seq": seq}),
        json!({"epoch": epoch, "seq": "garbage"}),
        json!({"epoch": epoch, "seq": ""}),
        json!({"epoch": epoch, "seq": 17}),
        json!({"epoch": epoch, "seq": null}),
        json!({"epoch": epoch, "seq": "99999999999999999999.00000"}),
        json!({"epoch": epoch, "seq": "\u{0}'; DROP TABLE feed; --.00000"}),
        json!({"epoch": epoch, "seq": format!("{place}.00999")}),
        json!({"epoch": epoch, "seq": format!("{}.00000", "9".repeat(20_000))}),
    ] {
        let mut client = rig.client().await;
        client
            .send(json!({"type": "handshake", "epoch": epoch, "resume": resume}))
            .await;
        let first = client.until_any(&["resync", "initial_state", "resumed"]).await;
        assert_eq!(first["type"], "resync", "{resume:.200}");
        assert!(first["data"]["reason"].is_string());
        check_state(&client.until_any(&["initial_state", "resumed", "new_threat"]).await);
        // It is live from there on.
        partition.threats(1, Severity::High).await;
        while crate::rig::number(&client.until("new_threat").await) != partition.made - 1 {}
    }
    rig.stop().await;
}
