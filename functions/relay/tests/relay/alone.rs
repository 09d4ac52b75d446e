//! The relay as a service of its own, with no api beside it.

use serde_json::json;
use threatstream_domain::Severity;
use threatstream_relay::Config;
use threatstream_runtime::Reader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Rig, number};

async fn ask(rig: &Rig, method: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n",
        rig.address
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_the_page_for_an_api_elsewhere_and_the_socket_and_nothing_else() {
    let environment = [("API_URL", "https://api.example.com")];
    let mut reader = Reader::new(&environment);
    let config = Config::from_env(&mut reader);
    reader.finish(()).unwrap();
    let rig = Rig::new(config).await;

    let page = ask(&rig, "GET", "/", "").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page:.200}");
    assert!(page.contains(r#"<meta name="threatstream-api" content="https://api.example.com">"#));
    assert!(page.contains("connect-src 'self' https://api.example.com;"));
    for path in ["/api/health", "/api/ws-ticket", "/api/threats/recent"] {
        let answer = ask(&rig, "GET", path, "").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer:.200}");
        assert!(answer.contains("application/problem+json"), "{path}: {answer}");
    }
    // Who is greeted has found it ready.
    let mut client = rig.greeted().await;
    assert!(ask(&rig, "GET", "/readyz", "").await.starts_with("HTTP/1.1 200"));
    rig.partition().await.threats(1, Severity::High).await;
    assert_eq!(number(&client.until("new_threat").await), 0);
    client.send(json!({"type": "ping"})).await;
    client.until("pong").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_allowed_origins_may_open_a_socket_and_others_may_not() {
    let rig = Rig::new(Config::default()).await;
    let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let refused = ask(
        &rig,
        "GET",
        "/ws/live",
        &format!("Origin: https://evil.example\r\n{upgrade}"),
    )
    .await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused:.200}");
    let allowed = "Origin: http://localhost:3000\r\nAccess-Control-Request-Method: GET\r\n";
    let preflight = ask(&rig, "OPTIONS", "/ws/live", allowed).await.to_lowercase();
    assert!(
        preflight.contains("access-control-allow-origin: http://localhost:3000"),
        "{preflight}"
    );
    let foreign = "Origin: https://evil.example\r\nAccess-Control-Request-Method: GET\r\n";
    let preflight = ask(&rig, "OPTIONS", "/ws/live", foreign).await.to_lowercase();
    assert!(!preflight.contains("access-control-allow-origin"), "{preflight}");
    rig.stop().await;
}
