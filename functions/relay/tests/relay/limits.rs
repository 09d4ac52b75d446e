//! How many, and the end.

use std::time::{Duration, Instant};

use threatstream_relay::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::rig::{PATIENCE, Rig};

async fn get(rig: &Rig, head: &str) -> String {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream
        .write_all(format!("GET {head}\r\nHost: {}\r\nConnection: close\r\n\r\n", rig.address).as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_socket_too_many_is_a_problem_until_another_leaves() {
    let rig = Rig::new(Config {
        max_connections: 2,
        ..Config::default()
    })
    .await;
    let first = rig.greeted().await;
    let _second = rig.greeted().await;
    let Err(Error::Http(response)) = rig.try_client().await else {
        panic!("a third socket was opened")
    };
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    while rig.try_client().await.is_err() {
        assert!(Instant::now() < deadline, "the seat was not given back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_a_socket_is_told_so() {
    let rig = Rig::new(Config::default()).await;
    let plain = get(&rig, "/ws/live HTTP/1.1").await;
    assert!(
        plain.starts_with("HTTP/1.1 426") && plain.contains("application/problem+json"),
        "{plain}"
    );
    let page = get(&rig, "/ HTTP/1.1").await;
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains("content-security-policy: default-src 'none'"),
        "{page:.600}"
    );
    rig.stop().await;
    let rig = Rig::new(Config {
        mount_page: false,
        ..Config::default()
    })
    .await;
    assert!(get(&rig, "/ HTTP/1.1").await.starts_with("HTTP/1.1 404"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_closes_every_socket_in_order() {
    let rig = Rig::new(Config::default()).await;
    let mut greeted = rig.greeted().await;
    let mut silent = rig.client().await;
    let started = Instant::now();
    let codes = async { (greeted.close_code().await, silent.close_code().await) };
    let ((), codes) = tokio::join!(rig.stop(), codes);
    assert_eq!(codes, (1001, 1001));
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_brings_a_ticket_is_answered_with_the_subprotocol() {
    let rig = Rig::new(Config::default()).await;
    let mut request = format!("ws://{}/ws/live", rig.address).into_client_request().unwrap();
    let offered = "threatstream.v1, ticket.abc.def".parse().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", offered);
    let (_socket, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "threatstream.v1");
    rig.stop().await;
}
