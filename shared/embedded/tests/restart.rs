//! What survives the end of the process, orderly or not, and who may open the folder.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use threatstream_backend::conformance::samples::{commit, frame, new_threat, noon, record, threat};
use threatstream_backend::{
    Durability, EventLog, Feed, FeedStart, Leases, PartitionId, Store, Task, TaskQueue, Threats,
};
use threatstream_domain::Clock;
use threatstream_embedded::{Embedded, OpenError, Options, open};

const FOLDER: &str = "EMBEDDED_TEST_FOLDER";
const TTL: Duration = Duration::from_secs(3600);

fn opened(folder: &Path) -> Embedded {
    open(Options::new(folder)).unwrap()
}

fn partition() -> PartitionId {
    PartitionId {
        topic: "security.matches".to_owned(),
        partition: 0,
    }
}

/// Runs in a process of its own, for `what_was_acknowledged_survives_a_kill`; appends until it is killed and prints what was
/// acknowledged. Without a folder it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_appends() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let embedded = opened(Path::new(&folder));
    let held = embedded
        .acquire(&partition(), 4, "child", TTL, noon())
        .await
        .unwrap()
        .unwrap();
    let mut offset = held.next_offset;
    for round in 0u64.. {
        let records = (0..5)
            .map(|at| record(&format!("key-{at}"), &format!("{round}/{at}")))
            .collect();
        for position in embedded
            .append("security.raw.logs", records, Durability::Promised)
            .await
            .unwrap()
        {
            println!("\nacknowledged {} {}", position.partition, position.offset);
        }
        let mut batch = commit(&partition(), &held, &format!("b{round}"), 1);
        (batch.expected_offset, batch.next_offset) = (offset, offset + 1);
        batch.threats = vec![new_threat(threat(&format!("THR-{offset}")))];
        batch.frames = vec![frame(offset)];
        embedded.commit(batch).await.unwrap();
        offset += 1;
        println!("\ncommitted {offset}");
        std::io::stdout().flush().unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = TempDir::new().unwrap();
    let mut highest = [0u64; 4];
    let mut committed = 0u64;
    for lines in [40, 200, 90] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_appends", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["acknowledged", partition, offset] => {
                    let end = offset.parse::<u64>().unwrap() + 1;
                    let highest = &mut highest[partition.parse::<usize>().unwrap()];
                    *highest = end.max(*highest);
                }
                ["committed", offset] => committed = offset.parse().unwrap(),
                _ => continue,
            }
            seen += 1;
            if seen == lines {
                // SIGKILL, in the middle of whatever it does now.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= lines, "the child ended by itself after {seen} lines");

        let embedded = opened(folder.path());
        let marks = embedded.watermarks("security.raw.logs").await.unwrap();
        for (mark, highest) in marks.iter().zip(highest) {
            assert!(mark.high >= highest, "{mark:?} of {highest} acknowledged");
        }
        let from: Vec<(u32, u64)> = (0..4).map(|partition| (partition, 0)).collect();
        let mut reader = embedded.open("security.raw.logs", &from).await.unwrap();
        let parts = reader.next(usize::MAX, Duration::ZERO).await.unwrap();
        let read: u64 = parts.iter().map(|part| part.records.len() as u64).sum();
        assert_eq!(read, marks.iter().map(|mark| mark.high).sum::<u64>());
        let checkpoint = embedded.checkpoints("security.matches").await.unwrap().remove(0);
        assert!(checkpoint.next_offset >= committed);
        assert_eq!(
            embedded.threat_stats().await.unwrap().total_threats,
            checkpoint.next_offset
        );
        drop(reader);
        embedded.close().await;
    }
}

#[tokio::test]
async fn a_restart_keeps_everything_and_frees_the_leases() {
    let folder = TempDir::new().unwrap();
    let embedded = opened(folder.path());
    let held = embedded
        .acquire(&partition(), 4, "one", TTL, noon())
        .await
        .unwrap()
        .unwrap();
    let mut batch = commit(&partition(), &held, "b1", 3);
    batch.threats = vec![new_threat(threat("THR-1"))];
    batch.frames = vec![frame(1)];
    embedded.commit(batch).await.unwrap();
    let (epoch, head) = (embedded.epoch().await.unwrap(), embedded.head().await.unwrap());
    let task = Task {
        queue: "respond".to_owned(),
        id: "1".to_owned(),
        payload: serde_json::Value::Null,
    };
    embedded.enqueue(vec![task.clone()], noon()).await.unwrap();
    let before = embedded
        .append("topic", vec![record("k", "v")], Durability::Redoable)
        .await
        .unwrap();
    embedded.close().await;

    let embedded = opened(folder.path());
    let taken = embedded
        .acquire(&partition(), 4, "two", TTL, noon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((taken.next_offset, taken.owner_epoch), (3, held.owner_epoch + 1));
    assert_eq!(embedded.threat("THR-1").await.unwrap(), Some(threat("THR-1")));
    let taken = embedded.take("respond", 9, TTL, noon(), Duration::ZERO).await.unwrap();
    assert_eq!(taken[0].task, task);
    let after = embedded
        .append("topic", vec![record("k", "v")], Durability::Redoable)
        .await
        .unwrap();
    assert_eq!(
        (after[0].partition, after[0].offset),
        (before[0].partition, before[0].offset + 1)
    );

    // The feed goes on after the place known before, and no number is given twice.
    assert_eq!(
        (embedded.epoch().await.unwrap(), embedded.head().await.unwrap()),
        (epoch, head.clone())
    );
    let mut batch = commit(
        &partition(),
        &embedded.checkpoints("security.matches").await.unwrap()[0],
        "b2",
        1,
    );
    batch.frames = vec![frame(2)];
    embedded.commit(batch).await.unwrap();
    let FeedStart::Reader(mut reader) = embedded.follow(&head).await.unwrap() else {
        panic!("the feed has forgotten its head")
    };
    let told = reader.next(9, Duration::ZERO).await.unwrap();
    assert_eq!(
        told.iter()
            .map(|record| record.frames[0].data.get())
            .collect::<Vec<_>>(),
        ["2"]
    );
}

#[tokio::test]
async fn times_go_on_after_a_restart_even_when_the_clock_went_back() {
    let folder = TempDir::new().unwrap();
    let mut times = Vec::new();
    for seconds in [0, -3600] {
        let mut options = Options::new(folder.path());
        options.clock = Clock::fixed(threatstream_domain::Timestamp::from_secs(noon().as_secs() + seconds));
        let embedded = open(options).unwrap();
        embedded
            .append("topic", vec![record("k", "v"), record("k", "v")], Durability::Promised)
            .await
            .unwrap();
        let partition = threatstream_backend::partition_of(b"k", 4);
        let mut reader = EventLog::open(&embedded, "topic", &[(partition, 0)]).await.unwrap();
        let parts = reader.next(1 << 20, Duration::ZERO).await.unwrap();
        times = parts[0]
            .records
            .iter()
            .map(|record| record.timestamp.as_micros())
            .collect();
        drop(reader);
        embedded.close().await;
    }
    let noon = noon().as_micros();
    assert_eq!(times, [noon, noon + 1, noon + 2, noon + 3]);
}

#[tokio::test]
async fn a_folder_has_one_user_and_a_topic_one_number_of_partitions() {
    let folder = TempDir::new().unwrap();
    let embedded = opened(folder.path());
    let Err(error @ OpenError::InUse(_)) = open(Options::new(folder.path())) else {
        panic!("it was opened twice");
    };
    assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    let clone = embedded.clone();
    embedded.close().await;
    assert!(Store::check(&clone).await.is_err_and(|error| error.is_retryable()));
    assert!(
        clone
            .append("topic", vec![record("k", "v")], Durability::Promised)
            .await
            .is_err()
    );

    let six = || Options {
        partitions: 6,
        ..Options::new(folder.path())
    };
    assert!(matches!(
        open(six()),
        Err(OpenError::Partitions {
            stored: 4,
            asked: 6,
            ..
        })
    ));
    drop(opened(folder.path()));
    // Dropping the last one closes, too.
    drop(opened(folder.path()));
    assert!(matches!(
        open(Options { partitions: 0, ..six() }),
        Err(OpenError::PartitionCount(0))
    ));
}

#[tokio::test]
async fn what_is_no_database_is_an_error_that_names_the_folder() {
    let folder = TempDir::new().unwrap();
    std::fs::write(
        folder.path().join("threatstream.db"),
        "these are not the bytes of a database".repeat(100),
    )
    .unwrap();
    let Err(error @ OpenError::Database { .. }) = open(Options::new(folder.path())) else {
        panic!("it was opened");
    };
    assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
}
