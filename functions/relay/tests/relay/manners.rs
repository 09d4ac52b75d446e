//! Clients that do not behave.

use futures_util::SinkExt;
use serde_json::json;
use threatstream_relay::Config;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_frame_is_answered_by_error_and_the_socket_stays_open() {
    let rig = Rig::new(Config::default()).await;
    let mut client = rig.greeted().await;
    let deep = format!(
        "{{\"type\":\"ping\",\"x\":{}{}}}",
        "[".repeat(30_000),
        "]".repeat(30_000)
    );
    let huge = format!("{{\"type\":\"{}\"}}", "x".repeat(1 << 20));
    let text = |text: &str| Message::text(text.to_owned());
    for (message, field) in [
        (text("{"), "frame"),
        (text(""), "frame"),
        (text("[1,2]"), "frame"),
        (text("{}"), "type"),
        (text("{\"type\":\"explode\"}"), "type"),
        (
            text("{\"type\":\"subscribe\",\"topics\":[\"threats\",\"<b>\"]}"),
            "topics[1]",
        ),
        (
            text("{\"type\":\"subscribe\",\"min_severity\":\"WORST\"}"),
            "min_severity",
        ),
        (text("{\"type\":\"handshake\",\"resume\":[]}"), "resume"),
        (text(&deep), "frame"),
        (text(&huge), "frame"),
        (Message::binary(Bytes::from_static(b"\x00\x01")), "frame"),
    ] {
        client.0.send(message).await.unwrap();
        let error = client.until("error").await;
        assert_eq!(error["data"]["field"], field, "{error}");
        assert!(!error["data"]["message"].as_str().unwrap().is_empty());
        client.send(json!({"type": "ping"})).await;
        client.until("pong").await;
    }
    client
        .0
        .send(Message::Ping(Bytes::from_static(b"still there")))
        .await
        .unwrap();
    loop {
        if let Message::Pong(payload) = client.message().await.unwrap() {
            assert_eq!(payload, Bytes::from_static(b"still there"));
            break;
        }
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_closed() {
    let rig = Rig::new(Config::default()).await;
    let mut client = rig.greeted().await;
    for _ in 0..2000 {
        if client.0.send(Message::text("garbage")).await.is_err() {
            break;
        }
    }
    assert_eq!(client.close_code().await, 1008);
    rig.greeted().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_leave() {
    let rig = Rig::new(Config {
        max_connections: 1,
        ..Config::default()
    })
    .await;
    let mut client = rig.greeted().await;
    client.0.close(None).await.unwrap();
    assert_eq!(client.close_code().await, 1000);
    assert!(client.message().await.is_none());
    rig.stop().await;
}
