//! Whatever goes wrong leaves as problem+json, and the server lives.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::{Client, Server};
use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::routing::{get, post};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use hyper::body::Frame;
use serde::Deserialize;
use threatstream_runtime::{Function, Json, Path, Query, RequestId, ServeConfig, ingest_limit};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<u16>,
}

async fn panics() -> String {
    panic!("the database password is hunter2")
}

fn function() -> Function {
    let router = Router::new()
        .route("/panic", get(panics))
        .route(
            "/fails",
            get(async || (StatusCode::INTERNAL_SERVER_ERROR, "password hunter2")),
        )
        .route(
            "/missing",
            get(async || (StatusCode::NOT_FOUND, "there is no such threat")),
        )
        .route("/forever", get(std::future::pending::<()>))
        .route("/json", post(async |Json(value): Json<serde_json::Value>| Json(value)))
        .route(
            "/list",
            get(async |Query(Listing { limit }): Query<Listing>| format!("{limit:?}")),
        )
        .route(
            "/items/{number}",
            get(async |Path(number): Path<u32>| number.to_string()),
        )
        .route("/bytes", post(async |body: Bytes| body.len().to_string()))
        .route("/ingest", post(async |body: Bytes| body.len().to_string()))
        .route(
            "/marked",
            post(async |body: Bytes| body.len().to_string()).layer(ingest_limit()),
        )
        .route("/id", get(async |id: RequestId| id.as_str().to_owned()))
        .route(
            "/ws/echo",
            get(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)),
        )
        .route("/large", get(async || "large ".repeat(1000)));
    Function::new("test", router).ingest("/ingest")
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn server() -> Server {
    Server::start(function(), ServeConfig::local()).await
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let server = server().await;
    assert_eq!(server.get("/none").await.problem(404)["title"], "Not Found");
    let answer = server.send(Request::delete("/json")).await;
    answer.problem(405);
    assert_eq!(answer.header("allow"), "POST");
    assert_eq!(
        server.get("/missing").await.problem(404)["detail"],
        "there is no such threat"
    );
    for path in ["/panic", "/fails"] {
        let answer = server.get(path).await;
        answer.problem(500);
        assert!(!String::from_utf8_lossy(&answer.body).contains("hunter2"), "{answer:?}");
    }
    let problem = server.get("/list?limit=many").await.problem(400);
    assert_eq!(problem["errors"][0]["field"], "limit");
    let problem = server.get("/list?colour=red").await.problem(400);
    assert!(
        problem["errors"][0]["message"].as_str().unwrap().contains("`limit`"),
        "{problem}"
    );
    assert_eq!(
        server.get("/items/x").await.problem(400)["errors"][0]["message"],
        "expected a whole number from 0 to 4294967295"
    );
    server
        .post(Request::post("/json").header("content-type", "text/plain"), "{}")
        .await
        .problem(415);
    server
        .post(Request::post("/bytes").header("content-encoding", "br"), "x")
        .await
        .problem(415);
    server
        .post(Request::post("/bytes").header("content-encoding", "gzip"), "not gzip")
        .await
        .problem(400);
    let json = || Request::post("/json").header("content-type", "application/json");
    let problem = server.post(json(), "[".repeat(100_000)).await.problem(400);
    assert!(
        problem["errors"][0]["message"].as_str().unwrap().contains("recursion"),
        "{problem}"
    );
    server.post(json(), &b"\"\xff\""[..]).await.problem(400);
    assert_eq!(server.post(json(), "{\"a\": 1}").await.json()["a"], 1);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let config = ServeConfig {
        request_timeout: Duration::from_millis(20),
        ..ServeConfig::local()
    };
    let answer = Server::start(function(), config).await.get("/forever").await;
    answer.problem(503);
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn more_than_may_be_in_flight_are_told_to_come_again() {
    let config = ServeConfig {
        max_in_flight: 0,
        ..ServeConfig::local()
    };
    let server = Server::start(function(), config).await;
    server.get("/id").await.problem(503);
    assert_eq!(server.get("/healthz").await.status, 200);
}

/// A body without a length: it is sent in chunks.
struct Chunks {
    chunk: Bytes,
    left: usize,
}

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(self.chunk.clone()))))
    }
}

#[tokio::test]
async fn bodies_are_limited_however_they_come() {
    const MIB: usize = 1024 * 1024;
    let server = server().await;
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    for (path, limit) in [("/bytes", MIB), ("/ingest", 10 * MIB), ("/marked", 10 * MIB)] {
        let (fits, over) = (vec![b'a'; limit], vec![b'a'; limit + MIB]);
        let length = limit.to_string();
        assert_eq!(server.post(Request::post(path), fits.clone()).await.body, length);
        let problem = server.post(Request::post(path), over.clone()).await.problem(413);
        assert_eq!(problem["errors"][0]["field"], "body");
        server
            .post(Request::post(path), vec![b'a'; limit + 1])
            .await
            .problem(413);

        let zipped = || Request::post(path).header("content-encoding", "gzip");
        assert_eq!(server.post(zipped(), gzip(&fits)).await.body, length);
        server.post(zipped(), gzip(&over)).await.problem(413);

        let chunk = Bytes::from(vec![b'a'; 64 * 1024]);
        for (bytes, status) in [(limit, 200), (limit + 2 * MIB, 413)] {
            let body = Chunks {
                chunk: chunk.clone(),
                left: bytes / chunk.len(),
            };
            let mut client: Client<Chunks> = server.connect().await;
            let answer = client.send(Request::post(path).body(body).unwrap()).await.unwrap();
            assert_eq!(answer.status.as_u16(), status, "{path}, {bytes} bytes in chunks");
        }
    }
    // 256 MiB in a quarter of one: never held, and refused early.
    let bomb = gzip(&vec![0; 256 * MIB]);
    server
        .post(Request::post("/ingest").header("content-encoding", "gzip"), bomb)
        .await
        .problem(413);
}

#[tokio::test]
async fn a_request_id_is_taken_over_or_made() {
    let server = server().await;
    let answer = server.send(Request::get("/id").header("x-request-id", "mine-1")).await;
    assert_eq!(
        (answer.header("x-request-id"), &answer.body[..]),
        ("mine-1", &b"mine-1"[..])
    );
    let answer = server
        .send(Request::get("/none").header("x-request-id", "not mine"))
        .await;
    assert_eq!(answer.header("x-request-id").len(), 32);
    answer.problem(404);
}

#[tokio::test]
async fn answers_are_compressed_where_it_pays_and_carry_careful_headers() {
    let server = server().await;
    let large = server
        .send(Request::get("/large").header("accept-encoding", "gzip"))
        .await;
    assert_eq!(large.header("content-encoding"), "gzip");
    assert!(large.body.len() < 1000);
    let small = server.send(Request::get("/id").header("accept-encoding", "gzip")).await;
    assert_eq!(small.header("content-encoding"), "");
    assert_eq!(
        (small.header("x-content-type-options"), small.header("referrer-policy")),
        ("nosniff", "no-referrer")
    );
    assert_eq!(server.get("/large").await.body.len(), 6000);
}

#[tokio::test]
async fn a_websocket_passes_every_layer() {
    let server = server().await;
    let mut request = format!("ws://{}/ws/echo", server.address)
        .into_client_request()
        .unwrap();
    request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    let (mut socket, answer) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(answer.status(), 101);
    assert!(!answer.headers().contains_key("content-encoding"));
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_what_callers_invent() {
    let server = server().await;
    server.get("/items/7").await;
    server.get("/none/of/this").await.problem(404);
    server
        .send(Request::builder().method("INVENTED").uri("/items/8"))
        .await
        .problem(405);
    let answer = server.get("/metrics").await;
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    for line in [
        "http_requests_total{route=\"/items/{number}\",method=\"GET\",status=\"200\"}",
        "http_requests_total{route=\"unmatched\",method=\"GET\",status=\"404\"}",
        "http_requests_total{route=\"/items/{number}\",method=\"other\",status=\"405\"}",
        "http_request_duration_seconds_bucket",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("of/this") && !text.contains("INVENTED"));
}
