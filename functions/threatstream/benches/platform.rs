//! How fast the platform is, as the process that a user starts, with the load generator on the same machine.
//!
//! `cargo bench -p threatstream` prints a table; `-- SECONDS` changes how long each row runs (5 by default). Everything is
//! durable: an event counts when its 202 has come.

#[path = "platform/client.rs"]
mod client;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use client::Client;

struct Platform {
    child: Child,
    address: String,
    healthy_after: Duration,
}

impl Platform {
    async fn start(data: &Path) -> Self {
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_threatstream"))
            .env_clear()
            .envs([("PORT", "0"), ("LOG_LEVEL", "ERROR"), ("RATE_LIMIT_REQUESTS", "0")])
            .env("THREATSTREAM_DATA", data)
            .current_dir(data)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let address = loop {
            let line = lines.next().expect("it says where it is").expect("text");
            if let Some(rest) = line.strip_prefix("ThreatStream is at http://") {
                break rest.trim_end_matches('/').to_owned();
            }
        };
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        let health = Client::connect(&address).await.get("/api/health").await;
        assert_eq!(health["status"], "healthy", "{health}");
        Self {
            child,
            address,
            healthy_after: started.elapsed(),
        }
    }

    /// Resident memory in MiB.
    fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
        let kib: f64 = line
            .split_whitespace()
            .nth(1)
            .and_then(|text| text.parse().ok())
            .expect("a number");
        kib / 1024.0
    }

    async fn pending(&self) -> u64 {
        Client::connect(&self.address).await.get("/api/analytics/ledger").await["pending"]
            .as_u64()
            .expect("a number")
    }

    /// Waits until everything is analysed: how long that took.
    async fn drain(&self) -> Duration {
        let started = Instant::now();
        while self.pending().await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        started.elapsed()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An ordinary request in a web server's log, about 200 bytes; no two alike.
fn line(number: u64) -> String {
    format!(
        "198.51.100.{} - - [20/Nov/2026:09:{:02}:{:02} +0000] \"GET /articles/{number}?page={} HTTP/1.1\" 200 {} \"https://www.example.com/articles\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\"",
        number % 250 + 1,
        number / 60 % 60,
        number % 60,
        number % 9,
        number % 40_000
    )
}

/// The same as a JSON event.
fn event(number: u64) -> String {
    serde_json::json!({"event_type": "http_request", "source_ip": format!("198.51.100.{}", number % 250 + 1), "destination_port": 443,
        "protocol": "TCP", "payload": {"line": line(number)}})
    .to_string()
}

/// Posts over several connections for a while: events acknowledged a second.
async fn throughput(address: &str, connections: usize, events: u64, span: Duration) -> f64 {
    let next = Arc::new(AtomicU64::new(0));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let senders = (0..connections).map(|_| {
        let (next, acknowledged, address) = (next.clone(), acknowledged.clone(), address.to_owned());
        tokio::spawn(async move {
            let mut client = Client::connect(&address).await;
            while started.elapsed() < span {
                let first = next.fetch_add(events, Ordering::Relaxed);
                let (kind, body) = if events == 1 {
                    ("application/json", event(first))
                } else {
                    (
                        "application/x-ndjson",
                        (first..first + events).map(|number| event(number) + "\n").collect(),
                    )
                };
                client.post("/api/events", kind, &body).await;
                acknowledged.fetch_add(events, Ordering::Relaxed);
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("it sends");
    }
    acknowledged.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

/// Posts attacks on a schedule and waits for each on a socket: milliseconds from when each was due to its frame, sorted.
async fn latency(address: &str, rate: u64, span: Duration) -> Vec<f64> {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/ws/live"))
        .await
        .expect("a socket");
    let count = rate * span.as_secs();
    let start = Instant::now() + Duration::from_millis(2500);
    let due = move |number: u64| start + Duration::from_secs_f64(number as f64 / rate as f64);
    let run = start.elapsed().as_nanos() as u64 ^ rate.rotate_left(40) ^ std::process::id() as u64;
    let receiver = tokio::spawn(async move {
        let mut times = Vec::new();
        while (times.len() as u64) < count {
            let Some(Ok(message)) = socket.next().await else {
                panic!("the socket closed after {} threats", times.len())
            };
            let Message::Text(text) = message else { continue };
            let now = Instant::now();
            let frame: Value = serde_json::from_str(&text).expect("JSON");
            if frame["type"] == "new_threat"
                && let Some((id, number)) = frame["data"]["event_id"].as_str().and_then(|id| id.split_once('/'))
                && id == format!("latency-{run}")
            {
                times.push(now.duration_since(due(number.parse().expect("a number"))).as_secs_f64() * 1000.0);
            }
        }
        times
    });
    let senders = (0..8u64).map(|lane| {
        let address = address.to_owned();
        tokio::spawn(async move {
            let mut client = Client::connect(&address).await;
            for number in (lane..count).step_by(8) {
                tokio::time::sleep_until(due(number).into()).await;
                // Each from an address of its own: nothing is suppressed, every one is a threat and an alert.
                let body = serde_json::json!({"event_id": format!("latency-{run}/{number}"), "event_type": "brute_force",
                    "source_ip": format!("203.{}.{}.{}", rate % 200, number / 250 % 250, number % 250 + 1),
                    "payload": {"attempts": 25}});
                client.post("/api/events", "application/json", &body.to_string()).await;
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("it sends");
    }
    let mut times = tokio::time::timeout(Duration::from_secs(60), receiver)
        .await
        .expect("every threat comes")
        .expect("received");
    times.sort_by(f64::total_cmp);
    times
}

#[tokio::main]
async fn main() {
    let seconds = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next()
        .unwrap_or(5);
    let span = Duration::from_secs(seconds);
    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path()).await;
    println!(
        "healthy after              {:>10.0} ms",
        platform.healthy_after.as_secs_f64() * 1000.0
    );
    println!("resident memory, idle      {:>10.1} MiB", platform.resident());

    for rate in [50, 1000] {
        let times = latency(&platform.address, rate, span).await;
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!(
            "POST to new_threat, {rate:>4}/s   {:>10.2} ms p50 {:>8.2} ms p99",
            at(0.5),
            at(0.99)
        );
    }
    platform.drain().await;

    let single = throughput(&platform.address, 64, 1, span).await;
    println!("single POSTs, 64 sockets   {single:>10.0} events/s");
    platform.drain().await;
    let bulk = throughput(&platform.address, 4, 1000, span).await;
    println!("NDJSON of 1,000, 4 sockets {bulk:>10.0} events/s");
    let left = platform.pending().await;
    let took = platform.drain().await;
    println!(
        "log to commit, backlog     {:>10.0} events/s ({left} events)",
        left as f64 / took.as_secs_f64()
    );
    println!("resident memory, after     {:>10.1} MiB", platform.resident());
}
