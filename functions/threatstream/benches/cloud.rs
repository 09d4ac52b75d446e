//! How fast the platform is over Kafka, Firestore and Pub/Sub, beside what it does over one file.
//!
//! `infra/ci/emulators run -- cargo bench --workspace --features cloud,cloud-tests --bench cloud` prints a table; `-- EVENTS` changes
//! how many events each row pushes (40,000 by default). The cluster is librdkafka's mock, the rest are emulators, all on this
//! machine beside the load generator: what the table shows is the platform's own work and the emulators', not the cloud's
//! network.

#[path = "platform/client.rs"]
mod client;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tempfile::TempDir;
use threatstream_backend::Topics;
use threatstream_kafka::mock::MockKafka;
use tokio_tungstenite::tungstenite::{self, Message};

use client::Client;

/// Many, because the mock cluster keeps 5 MiB of each.
const PARTITIONS: u32 = 16;
/// Events of a request.
const BULK: u64 = 500;
/// Requests under way at once.
const SOCKETS: u64 = 4;
/// Threats that are timed, one after another.
const TIMED: usize = 40;

/// The single process over some engines.
struct Platform {
    child: Child,
    address: String,
    _data: TempDir,
}

impl Platform {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_threatstream"))
            .env_clear()
            .envs([("PORT", "0"), ("LOG_LEVEL", "ERROR"), ("RATE_LIMIT_REQUESTS", "0")])
            .env("THREATSTREAM_DATA", data.path())
            .envs(variables.iter().copied())
            .current_dir(data.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let address = loop {
            let line = lines.next().expect("it says where it is").expect("text");
            if let Some(rest) = line.strip_prefix("ThreatStream is at http://") {
                break rest.trim_end_matches('/').to_owned();
            }
            eprintln!("{line}");
        };
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Self {
            child,
            address,
            _data: data,
        }
    }

    /// Waits until this many events are analysed and nothing is pending.
    async fn analysed(&self, events: u64) {
        let mut client = Client::connect(&self.address).await;
        loop {
            let ledger = client.get("/api/analytics/ledger").await;
            if ledger["pending"] == 0 && ledger["match"]["ingested"].as_u64() >= Some(events) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One in a hundred is a threat by itself, each from an address of its own; the others are ordinary requests.
fn event(number: u64) -> String {
    let ip = |net: u64| {
        format!(
            "{net}.{}.{}.{}",
            number / 62_500 % 250,
            number / 250 % 250,
            number % 250 + 1
        )
    };
    if number.is_multiple_of(100) {
        return serde_json::json!({"event_type": "brute_force", "source_ip": ip(11), "payload": {"attempts": 25}})
            .to_string();
    }
    let line = format!(
        "GET /articles/{number}?page={} HTTP/1.1 200 {} Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        number % 9,
        number % 40_000
    );
    serde_json::json!({"event_type": "http_request", "source_ip": ip(12), "destination_port": 443, "payload": {"line": line}})
        .to_string()
}

/// Posts events over several connections, and waits until they are analysed: how long each took.
async fn throughput(platform: &Platform, events: u64) -> (Duration, Duration) {
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let senders: Vec<_> = (0..SOCKETS)
        .map(|_| {
            let (next, address) = (next.clone(), platform.address.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(&address).await;
                loop {
                    let first = next.fetch_add(BULK, Ordering::Relaxed);
                    if first >= events {
                        return;
                    }
                    let body: String = (first..(first + BULK).min(events))
                        .map(|number| event(number) + "\n")
                        .collect();
                    client.post("/api/events", "application/x-ndjson", &body).await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("it sends");
    }
    let ingested = started.elapsed();
    platform.analysed(events).await;
    (ingested, started.elapsed())
}

/// The next frame of a socket; null where it is no text.
async fn frame(socket: &mut (impl StreamExt<Item = Result<Message, tungstenite::Error>> + Unpin)) -> Value {
    match socket.next().await.expect("the socket stays open").expect("a frame") {
        Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
        _ => Value::Null,
    }
}

/// Posts attacks one after another and waits for each at a socket: milliseconds, sorted.
async fn latency(platform: &Platform) -> Vec<f64> {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{}/ws/live", platform.address))
        .await
        .expect("a socket");
    // What is stored before the first state would be part of it, and not come as a frame.
    let handshake = Message::text(r#"{"type":"handshake"}"#);
    socket.send(handshake).await.expect("the socket stays open");
    while frame(&mut socket).await["type"] != "initial_state" {}
    let mut client = Client::connect(&platform.address).await;
    let mut times = Vec::with_capacity(TIMED);
    for number in 0..TIMED {
        let id = format!("timed/{number}");
        let body = serde_json::json!({"event_id": id, "event_type": "brute_force",
            "source_ip": format!("192.0.2.{}", number + 1), "payload": {"attempts": 25}});
        let posted = Instant::now();
        client.post("/api/events", "application/json", &body.to_string()).await;
        loop {
            let frame = frame(&mut socket).await;
            if frame["type"] == "new_threat" && frame["data"]["event_id"] == id.as_str() {
                times.push(posted.elapsed().as_secs_f64() * 1000.0);
                break;
            }
        }
    }
    times.sort_by(f64::total_cmp);
    times
}

async fn row(name: &str, platform: &Platform, events: u64) {
    let times = latency(platform).await;
    let (ingested, analysed) = throughput(platform, events).await;
    let rate = |span: Duration| events as f64 / span.as_secs_f64();
    println!(
        "{name:<28} {:>12.0} {:>14.0} {:>10.1} {:>10.1}",
        rate(ingested),
        rate(analysed),
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
}

#[tokio::main]
async fn main() {
    let events = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next()
        .unwrap_or(40_000);
    println!(
        "{:<28} {:>12} {:>14} {:>10} {:>10}",
        "engines", "POST to log", "log to commit", "frame p50", "frame p99"
    );
    println!(
        "{:<28} {:>12} {:>14} {:>10} {:>10}",
        "", "events/s", "events/s", "ms", "ms"
    );
    row("one file", &Platform::start(&[]).await, events).await;

    let host = |variable: &str| std::env::var(variable).ok().filter(|host| !host.is_empty());
    let (Some(firestore), Some(pubsub)) = (host("FIRESTORE_EMULATOR_HOST"), host("PUBSUB_EMULATOR_HOST")) else {
        eprintln!("left out: the emulators; start this with `infra/ci/emulators run --`");
        return;
    };
    let topics = Topics::default();
    let kafka = MockKafka::start(
        1,
        &[
            (&topics.raw, PARTITIONS),
            (&topics.matches, PARTITIONS),
            (&topics.analyzed, PARTITIONS),
            (&topics.alerts, PARTITIONS),
            (&topics.metrics, 1),
            (&topics.dead_letters, 1),
        ],
    );
    let project = format!("bench-{:016x}", rand::random::<u64>());
    let platform = Platform::start(&[
        ("CONFLUENT_BOOTSTRAP_SERVERS", kafka.bootstrap_servers()),
        ("KAFKA_FETCH_WAIT", "10ms"),
        ("GOOGLE_CLOUD_PROJECT", &project),
        ("FIRESTORE_EMULATOR_HOST", &firestore),
        ("PUBSUB_EMULATOR_HOST", &pubsub),
    ])
    .await;
    row("mock Kafka and emulators", &platform, events).await;
}
