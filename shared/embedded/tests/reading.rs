//! What this log promises beyond the trait: one order over all partitions, and appends that are seen whole.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use threatstream_backend::conformance::samples::record;
use threatstream_backend::{Durability, EventLog, LogReader, LoggedRecord, PartitionRecords, Record};
use threatstream_embedded::{Options, open};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const ALL: [(u32, u64); 4] = [(0, 0), (1, 0), (2, 0), (3, 0)];

fn flat(parts: Vec<PartitionRecords>) -> Vec<LoggedRecord> {
    let mut records: Vec<LoggedRecord> = parts.into_iter().flat_map(|part| part.records).collect();
    records.sort_by_key(|record| record.timestamp);
    records
}

/// Reads in small bites; each must end where the next one begins, in time.
async fn in_bites(reader: &mut dyn LogReader, count: usize, bytes: usize) -> Vec<LoggedRecord> {
    let mut all: Vec<LoggedRecord> = Vec::new();
    while all.len() < count {
        let bite = flat(timeout(PATIENCE, reader.next(bytes, PATIENCE)).await.unwrap().unwrap());
        if let (Some(last), Some(first)) = (all.last(), bite.first()) {
            assert!(
                last.timestamp < first.timestamp,
                "a bite began before the end of the one before"
            );
        }
        all.extend(bite);
    }
    all
}

#[tokio::test]
async fn records_come_in_one_order_over_all_partitions_from_file_and_from_memory() {
    let folder = TempDir::new().unwrap();
    let embedded = open(Options::new(folder.path())).unwrap();
    let values: Vec<String> = (0..6000).map(|at| format!("{at} {}", "x".repeat(at % 3000))).collect();
    for chunk in values.chunks(100) {
        let records: Vec<Record> = chunk
            .iter()
            .enumerate()
            .map(|(at, value)| record(&format!("key-{at}"), value))
            .collect();
        embedded.append("topic", records, Durability::Redoable).await.unwrap();
    }
    // 9 MB: the oldest are in the file alone.
    let mut reader = EventLog::open(&embedded, "topic", &ALL).await.unwrap();
    let read = in_bites(&mut *reader, values.len(), 100_000).await;
    assert!(read.iter().map(|record| &record.value).eq(values.iter()));
    assert!(read.is_sorted_by(|a, b| a.timestamp < b.timestamp));
    drop(reader);
    embedded.close().await;

    let embedded = open(Options::new(folder.path())).unwrap();
    let mut reader = EventLog::open(&embedded, "topic", &ALL).await.unwrap();
    let again = in_bites(&mut *reader, values.len(), 1_000_000).await;
    assert_eq!(again, read, "the file has something else than memory had");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_is_seen_whole_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let embedded = Arc::new(open(Options::new(folder.path())).unwrap());
    let writer = Arc::clone(&embedded);
    let appending = tokio::spawn(async move {
        for round in 0..300 {
            let records = (0..40)
                .map(|at| record(&format!("key-{at}"), &round.to_string()))
                .collect();
            writer.append("topic", records, Durability::Redoable).await.unwrap();
        }
    });
    let mut reader = EventLog::open(&*embedded, "topic", &ALL).await.unwrap();
    let mut count = 0;
    while count < 300 * 40 {
        let parts = timeout(PATIENCE, reader.next(usize::MAX, PATIENCE))
            .await
            .unwrap()
            .unwrap();
        count += flat(parts).len();
        assert_eq!(count % 40, 0, "an append was seen in part");
    }
    appending.await.unwrap();
}

#[tokio::test]
async fn a_partition_that_is_not_there_is_refused() {
    let folder = TempDir::new().unwrap();
    let embedded = open(Options::new(folder.path())).unwrap();
    for from in [&[(4, 0)][..], &[(1, 0), (1, 5)]] {
        let refused = EventLog::open(&embedded, "topic", from).await;
        assert!(refused.is_err_and(|error| !error.is_retryable()), "{from:?}");
    }
}
