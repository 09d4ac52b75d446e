//! Appends and reads on the mock cluster, in this process: what the client costs, for a real cluster adds its network and disks.
//!
//! Prints, for one producer and one reader: records a second appended by 64 callers one at a time and in blocks of 1,000, and
//! read while they are appended; and how long an append, and an append until it is read, take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use threatstream_backend::conformance::samples::record;
use threatstream_backend::{Durability, EventLog, LogReader, Record};
use threatstream_kafka::KafkaLog;
use threatstream_kafka::mock::MockKafka;
use tokio::task::JoinSet;

const TOPIC: &str = "security.raw.logs";
const PARTITIONS: u32 = 6;

fn events(first: usize, count: usize) -> Vec<Record> {
    let raw =
        "Mar 27 16:16:42 gate sshd[4711]: Failed password for invalid user admin from 203.0.113.7 port 50022 ssh2";
    (first..first + count)
        .map(|at| {
            let value = format!("{{\"event_id\":\"event-{at}\",\"format\":\"auto\",\"raw\":\"{raw} {at}\"}}");
            record(&format!("event-{at}"), &value)
        })
        .collect()
}

async fn opened() -> (MockKafka, Arc<KafkaLog>, Box<dyn LogReader>) {
    let kafka = MockKafka::start(3, &[(TOPIC, PARTITIONS)]);
    let log = Arc::new(KafkaLog::open(kafka.config()).expect("a log"));
    log.connect().await.expect("clients");
    let from: Vec<(u32, u64)> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
    let reader = log.open(TOPIC, &from).await.expect("a reader");
    log.append(TOPIC, events(0, 1), Durability::Promised)
        .await
        .expect("an append");
    (kafka, log, reader)
}

/// Reads so many records, and says how long that took.
async fn read(reader: &mut dyn LogReader, count: usize) -> Duration {
    let started = Instant::now();
    let mut read = 0;
    while read < count {
        let parts = reader.next(8 << 20, Duration::from_secs(10)).await.expect("records");
        assert!(!parts.is_empty(), "{read} of {count} records came");
        read += parts.iter().map(|part| part.records.len()).sum::<usize>();
    }
    started.elapsed()
}

/// `callers` append `rounds` blocks each while a reader reads them.
async fn throughput(name: &str, callers: usize, rounds: usize, block: usize) {
    let (_kafka, log, mut reader) = opened().await;
    let total = callers * rounds * block;
    let started = Instant::now();
    let mut appending = JoinSet::new();
    for caller in 0..callers {
        let log = Arc::clone(&log);
        appending.spawn(async move {
            for round in 0..rounds {
                let first = (caller * rounds + round) * block;
                log.append(TOPIC, events(first, block), Durability::Promised)
                    .await
                    .expect("an append");
            }
        });
    }
    let reading = tokio::spawn(async move { read(&mut *reader, total + 1).await });
    appending.join_all().await;
    let appended = started.elapsed();
    let read = reading.await.expect("the reader ends");
    println!(
        "{name}: {total} records, appended {:.0}/s, read {:.0}/s",
        total as f64 / appended.as_secs_f64(),
        total as f64 / read.as_secs_f64()
    );
}

/// The median and the worst but one in a hundred, of single appends and of appends until they are read.
async fn latency() {
    let (_kafka, log, mut reader) = opened().await;
    read(&mut *reader, 1).await;
    let (mut appends, mut reads) = (Vec::new(), Vec::new());
    for at in 0..300 {
        let started = Instant::now();
        log.append(TOPIC, events(at, 1), Durability::Promised)
            .await
            .expect("an append");
        appends.push(started.elapsed());
        read(&mut *reader, 1).await;
        reads.push(started.elapsed());
    }
    for (name, mut times) in [("append", appends), ("append until read", reads)] {
        times.sort_unstable();
        println!(
            "{name}: p50 {:?}, p99 {:?}",
            times[times.len() / 2],
            times[times.len() * 99 / 100]
        );
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        throughput("single records, 64 callers", 64, 300, 1).await;
        throughput("blocks of 1,000, 4 callers", 4, 50, 1000).await;
        latency().await;
    });
}
