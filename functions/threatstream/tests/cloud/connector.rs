//! Kafka Connect's HTTP sink: reads the raw topic and posts what it reads to the analyzer, again until it is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use threatstream_backend::{EventLog, LoggedRecord, PartitionRecords, Topics};
use threatstream_kafka::KafkaLog;
use tokio::task::JoinHandle;

use super::harness::client;
use super::world::World;

/// Records of a push.
const RECORDS_A_PUSH: usize = 100;

/// The sink, with as many of its tasks as there are partitions. It ends when dropped.
pub(crate) struct Connector {
    pushes: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Connector {
    /// Posts everything in the raw topic to `url`, each push so many times.
    pub(crate) fn start(world: &World, url: &str, deliveries: usize) -> Self {
        let log = Arc::new(KafkaLog::open(world.kafka.config()).expect("a configuration that is right"));
        let pushes = Arc::new(AtomicUsize::new(0));
        let tasks = (0..4)
            .map(|partition| tokio::spawn(sink(log.clone(), partition, url.to_owned(), deliveries, pushes.clone())))
            .collect();
        Self { pushes, tasks }
    }

    /// How many pushes were taken.
    pub(crate) fn pushes(&self) -> usize {
        self.pushes.load(Ordering::SeqCst)
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn sink(log: Arc<KafkaLog>, partition: u32, url: String, deliveries: usize, pushes: Arc<AtomicUsize>) {
    let topic = Topics::default().raw;
    let mut reader = log.open(&topic, &[(partition, 0)]).await.expect("a reader");
    loop {
        let Ok(read) = reader.next(1 << 20, Duration::from_secs(5)).await else {
            // A broker is away; the reader goes on where it was.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        for PartitionRecords { records, .. } in read {
            for chunk in records.chunks(RECORDS_A_PUSH) {
                let body: Vec<Value> = chunk.iter().map(|record| item(&topic, partition, record)).collect();
                let body = Value::from(body);
                // The first delivery by itself; the others at once, as those of a sink that lost its answer and of the one
                // that took over from it.
                deliver(&url, &body).await;
                let again = (1..deliveries).map(|_| deliver(&url, &body));
                futures_util::future::join_all(again).await;
                pushes.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// A record as the sink writes it: every other one as a connector does that was told nothing of its values.
fn item(topic: &str, partition: u32, record: &LoggedRecord) -> Value {
    let text = String::from_utf8_lossy(&record.value);
    let value = match record.offset % 3 {
        0 => json!(text),
        1 => json!(STANDARD.encode(&record.value)),
        _ => serde_json::from_str(&text).unwrap_or_else(|_| json!(text)),
    };
    json!({"key": record.key, "value": value, "topic": topic, "partition": partition, "offset": record.offset,
        "timestamp": record.timestamp.as_millis()})
}

async fn deliver(url: &str, body: &Value) {
    let client = client();
    loop {
        let answer = client
            .post(url)
            .timeout(Duration::from_secs(300))
            .json(body)
            .send()
            .await;
        match answer {
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer) => {
                let status = answer.status();
                let text = answer.text().await.unwrap_or_default();
                assert!(
                    status.as_u16() == 429 || status.is_server_error(),
                    "a sink drops what is answered {status}: {text}"
                );
            }
            // The analyzer is away, or being started.
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
