//! A client that is gone without a word: a cable was pulled, a laptop closed.

use std::time::Duration;

use threatstream_relay::{Config, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{PATIENCE, Rig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_no_ping_is_closed_and_who_does_stays() {
    let rig = Rig::new(Config {
        heartbeat_interval: Duration::from_millis(200),
        max_connections: 2,
        limits: Limits {
            write_timeout: Duration::from_millis(200),
            silence: Duration::ZERO,
            ..Limits::default()
        },
        ..Config::default()
    })
    .await;
    let mut alive = rig.greeted().await;

    // Reads everything and answers nothing.
    let mut dead = TcpStream::connect(rig.address).await.unwrap();
    let request = format!(
        "GET /ws/live HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        rig.address
    );
    dead.write_all(request.as_bytes()).await.unwrap();
    let read = async {
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        // A reset is an end, too.
        while let Ok(count @ 1..) = dead.read(&mut part).await {
            all.extend_from_slice(&part[..count]);
        }
        all
    };
    // The one that stays is heard while the other is waited for.
    let (all, ()) = tokio::join!(
        async { tokio::time::timeout(PATIENCE, read).await.expect("it is closed") },
        async {
            for _ in 0..5 {
                alive.until("heartbeat").await;
            }
        }
    );
    assert!(
        all.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&all[..all.len().min(200)])
    );
    let pings = all.windows(2).filter(|pair| *pair == [0x89, 0x00]).count();
    assert!(pings > 0, "it was not asked");

    // Its seat is free, and the other is there still.
    let _next = rig.greeted().await;
    alive.send(serde_json::json!({"type": "ping"})).await;
    alive.until("pong").await;
    rig.stop().await;
}
