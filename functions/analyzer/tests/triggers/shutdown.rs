//! A drain when the process is told to end.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use threatstream_analyzer::{Config, build};
use threatstream_runtime::{CancellationToken, ServeConfig, bind, serve_on};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::World;

async fn post_drain(address: SocketAddr) -> Value {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = "POST /drain HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

#[tokio::test]
async fn a_drain_stops_after_its_batch_and_answers() {
    let world = World::new(2);
    world.post(0..20).await;
    world.shut_gate();
    let config = ServeConfig {
        port: 0,
        ..ServeConfig::local()
    };
    let listener = bind(&config).expect("a port");
    let address = listener.local_addr().expect("an address");
    let token = CancellationToken::new();
    let function = build(Config::default(), world.dependencies("a"));
    let server = tokio::spawn(serve_on(listener, function, config, token.clone()));
    let asked = tokio::spawn(post_drain(address));
    world.at_gate().await;
    token.cancel();
    world.open_gate();
    let report = tokio::time::timeout(Duration::from_secs(10), asked)
        .await
        .expect("in time")
        .expect("it answers");
    assert_eq!(report["status"], "partial", "{report}");
    assert_eq!(report["events_matched"], 20, "the batch was worked to its end");
    server.await.expect("it ends").expect("in order");
    // The leases are free: another goes on at once.
    let report = world.analyzer(threatstream_analyzer::Mode::Drain, "b").drain().await;
    assert_eq!(report["status"], "drained", "{report}");
    assert_eq!(world.ledger().await.matching.duplicate, 0);
}
