//! Whatever goes wrong leaves as problem+json, and the server lives.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::{Client, Server};
use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::routing::{get, post};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use hyper::body::Frame;
use serde::Deserialize;
use threatstream_runtime::extract::body_problem;
use threatstream_runtime::{Function, Json, Path, Query, RequestId, ServeConfig, ingest_limit};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<u16>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Strict {
    a: Option<u8>,
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
        .route("/large", get(async || "large ".repeat(1000)))
        .route(
            "/strict",
            post(async |Json(Strict { a }): Json<Strict>| format!("{a:?}")),
        )
        .route(
            "/read",
            post(async |body: Result<Bytes, BytesRejection>| match body {
                Ok(body) => Ok(body),
                Err(rejection) => Err(body_problem(&rejection)),
            }),
        )
        .route("/api/plain", get(async || Json("plain")).post(async || Json("changed")))
        .route(
            "/api/kept",
            get(async || ([("cache-control", "max-age=60")], Json("kept"))),
        )
        .route("/api/text", get(async || "text"))
        .route(
            "/api/list",
            get(async |Query(Listing { limit }): Query<Listing>| format!("{limit:?}"))
                .post(async |Query(Listing { limit }): Query<Listing>| format!("{limit:?}")),
        )
        .route("/api/ingest", post(async || "taken"));
    Function::new("test", router)
        .ingest("/ingest")
        .ingest("/api/ingest")
        .queries("/api/list")
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
    let answer = server
        .post(Request::post("/bytes").header("content-encoding", "br"), "x")
        .await;
    assert_eq!(answer.problem(415)["errors"][0]["field"], "content-encoding");
    assert_eq!(answer.header("accept-encoding"), "gzip");
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
    let strict = || Request::post("/strict").header("content-type", "application/json");
    assert_eq!(server.post(strict(), " {\"a\": 1}").await.body, "Some(1)");
    for body in ["[]", "[1]", "{", "7"] {
        let problem = server.post(strict(), body).await.problem(400);
        assert_eq!(problem["errors"][0]["field"], "body", "{problem}");
        assert!(!problem.to_string().contains("truct"), "{problem}");
    }
}

#[tokio::test]
async fn a_gzip_body_is_read_to_its_last_member_or_refused() {
    let server = server().await;
    let both = [gzip(b"first\n"), gzip(b"second\n")].concat();
    for encoding in ["gzip", "GZIP", "x-gzip"] {
        let request = || Request::post("/read").header("content-encoding", encoding);
        assert_eq!(server.post(request(), both.clone()).await.body, "first\nsecond\n");
        for broken in [&both[..both.len() - 1], &[&both[..], b"third\n"].concat()] {
            let problem = server.post(request(), broken.to_vec()).await.problem(400);
            assert_eq!(problem["errors"][0]["field"], "body");
            let message = problem["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains("gzip"), "{problem}");
        }
    }
    let plain = Request::post("/read").header("content-encoding", "identity");
    assert_eq!(server.post(plain, "as it is").await.body, "as it is");
    let empty = Request::post("/read").header("content-encoding", "gzip");
    assert_eq!(server.post(empty, "").await.status, 200);
}

#[tokio::test]
async fn a_query_that_nobody_reads_is_refused() {
    let server = server().await;
    for (method, path, status) in [
        ("GET", "/api/plain", 200),
        ("GET", "/api/plain?", 200),
        ("GET", "/api/plain?x=1", 400),
        ("HEAD", "/api/plain?x=1", 400),
        ("POST", "/api/plain", 200),
        ("POST", "/api/plain?x=1", 400),
        ("GET", "/api/list?limit=1", 200),
        ("GET", "/api/list?x=1", 400),
        ("POST", "/api/list?limit=1", 200),
        ("POST", "/api/list?x=1", 400),
        ("POST", "/api/ingest?format=auto", 200),
        ("GET", "/api/none?x=1", 404),
        ("GET", "/large?x=1", 200),
    ] {
        let answer = server.send(Request::builder().method(method).uri(path)).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        if status == 400 && method != "HEAD" {
            assert_eq!(answer.problem(400)["errors"][0]["field"], "x", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn what_the_api_says_is_kept_by_no_cache() {
    let server = server().await;
    for (path, expected) in [
        ("/api/plain", "no-store"),
        ("/api/none", "no-store"),
        ("/api/plain?x=1", "no-store"),
        ("/api/kept", "max-age=60"),
        ("/api/text", ""),
        ("/large", ""),
    ] {
        assert_eq!(server.get(path).await.header("cache-control"), expected, "{path}");
    }
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

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
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
    let openmetrics = "application/openmetrics-text; version=1.0.0";
    let answer = server
        .send(Request::get("/metrics").header("accept", openmetrics))
        .await;
    assert!(answer.header("content-type").starts_with(openmetrics), "{answer:?}");
    assert!(answer.body.ends_with(b"# EOF\n"));
    let answer = server.get("/metrics").await;
    assert!(
        answer.header("content-type").starts_with("text/plain; version=0.0.4"),
        "{answer:?}"
    );
    assert!(!answer.body.ends_with(b"# EOF\n"));
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    for line in [
        "# TYPE http_requests_total counter",
        "http_requests_total{route=\"/items/{number}\",method=\"GET\",status=\"200\"}",
        "http_requests_total{route=\"unmatched\",method=\"GET\",status=\"404\"}",
        "http_requests_total{route=\"/items/{number}\",method=\"other\",status=\"405\"}",
        "http_request_duration_seconds_bucket",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("of/this") && !text.contains("INVENTED"));
}
