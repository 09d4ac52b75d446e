//! A reader holds a bounded part of a backlog. Alone in its process, for it measures the process.

use std::time::Duration;

use threatstream_backend::conformance::PATIENCE;
use threatstream_backend::conformance::samples::record;
use threatstream_backend::{Durability, EventLog, Record};
use threatstream_kafka::KafkaLog;
use threatstream_kafka::mock::MockKafka;
use tokio::time::{Instant, sleep, timeout};

const PARTITIONS: u32 = 16;
const MEBIBYTE: usize = 1 << 20;

/// What the process has in memory, in bytes.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Waits until the memory of the process has not grown for a while.
async fn settle() {
    let (mut most, mut since) = (0, Instant::now());
    while since.elapsed() < Duration::from_millis(300) {
        let now = resident().unwrap();
        if now > most {
            (most, since) = (now, Instant::now());
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// 500 kB that do not compress.
fn bulky(seed: u32) -> Record {
    let mut state = u64::from(seed) + 1;
    let value: Vec<u8> = (0..500_000)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    Record {
        value: value.into(),
        ..record("", "")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_backlog_stays_in_the_log() {
    if resident().is_none() {
        eprintln!("left out: this system does not say how much memory a process has");
        return;
    }
    let kafka = MockKafka::start(1, &[("backlog", PARTITIONS)]);
    let mut config = kafka.config();
    config.prefetch_bytes = 1 << 20;
    let log = KafkaLog::open(config).unwrap();
    // 4 MB in each partition: the mock keeps 5 MiB.
    let keys: Vec<String> = (0..PARTITIONS).map(key_of).collect();
    for (seed, key) in (0..8 * PARTITIONS).zip(keys.iter().cycle()) {
        let record = Record {
            key: key.clone(),
            ..bulky(seed)
        };
        log.append("backlog", vec![record], Durability::Redoable).await.unwrap();
    }
    let from: Vec<(u32, u64)> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
    let mut reader = log.open("backlog", &from).await.unwrap();
    let before = resident().unwrap();
    let (mut most, mut count) = (before, 0);
    while count < 8 * PARTITIONS as usize {
        let parts = timeout(PATIENCE, reader.next(1, PATIENCE)).await.unwrap().unwrap();
        count += parts.iter().map(|part| part.records.len()).sum::<usize>();
        if count == 1 {
            // Slower than its fetcher, for as long as that finds something to fetch.
            settle().await;
        }
        most = most.max(resident().unwrap());
    }
    let grown = (most - before) / MEBIBYTE;
    eprintln!("reading a backlog of {} MiB took {grown} MiB", 64_000_000 / MEBIBYTE);
    assert!(grown < 32, "{grown} MiB");
}

/// A key that goes to this partition.
fn key_of(partition: u32) -> String {
    (0..)
        .map(|at| format!("key-{at}"))
        .find(|key| threatstream_backend::partition_of(key.as_bytes(), PARTITIONS) == partition)
        .unwrap()
}
