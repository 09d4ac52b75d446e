//! What goes, what stays, and what happens when nothing may go.

use std::time::Duration;

use tempfile::TempDir;
use threatstream_backend::conformance::samples::{commit, frame, new_threat, noon, record, threat};
use threatstream_backend::{
    Analytics, BackendError, Durability, EventLog, Feed, FeedStart, Leases, PartitionId, Record, Threats, partition_of,
};
use threatstream_domain::Clock;
use threatstream_embedded::{Embedded, Options, open};

const RAW: &str = "security.raw.logs";
const MATCHES: &str = "security.matches";
const ANALYZED: &str = "security.analyzed.threats";
const DEAD: &str = "security.dead.letters";
const MEBIBYTE: usize = 1 << 20;
const DAY: Duration = Duration::from_secs(86_400);

fn options(folder: &TempDir) -> Options {
    Options {
        clock: Clock::fixed(noon()),
        partitions: 1,
        ..Options::new(folder.path())
    }
}

/// Records that do not compress well, a block each.
async fn append(embedded: &Embedded, topic: &str, count: u64) -> Result<(), BackendError> {
    append_as(embedded, topic, count, 1000, Durability::Promised).await
}

async fn append_as(
    embedded: &Embedded,
    topic: &str,
    count: u64,
    bytes: usize,
    durability: Durability,
) -> Result<(), BackendError> {
    for at in 0..count {
        let mut state = at + 0x9e37_79b9_7f4a_7c15;
        let noise: Vec<u8> = (0..bytes)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        let record = Record {
            value: noise.into(),
            ..record("key", "")
        };
        embedded.append(topic, vec![record], durability).await?;
    }
    Ok(())
}

async fn checkpoint(embedded: &Embedded, offset: u64) {
    checkpoint_of(embedded, RAW, offset).await;
}

async fn checkpoint_of(embedded: &Embedded, topic: &str, offset: u64) {
    let id = PartitionId {
        topic: topic.to_owned(),
        partition: 0,
    };
    let held = embedded.acquire(&id, 1, "one", DAY, noon()).await.unwrap().unwrap();
    let records = offset - held.next_offset;
    embedded
        .commit(commit(&id, &held, &format!("to {offset}"), records))
        .await
        .unwrap();
}

async fn low(embedded: &Embedded, topic: &str) -> u64 {
    embedded.watermarks(topic).await.unwrap()[0].low
}

#[tokio::test]
async fn old_records_go_but_none_that_is_not_yet_analysed() {
    let folder = TempDir::new().unwrap();
    let embedded = open(options(&folder)).unwrap();
    append(&embedded, RAW, 10).await.unwrap();
    append(&embedded, DEAD, 10).await.unwrap();
    let later = noon().plus(DAY * 8);
    embedded.retain(noon().plus(DAY * 6)).await.unwrap();
    assert_eq!(low(&embedded, DEAD).await, 0, "too early");
    embedded.retain(later).await.unwrap();
    assert_eq!((low(&embedded, RAW).await, low(&embedded, DEAD).await), (0, 10));
    checkpoint(&embedded, 4).await;
    embedded.retain(later).await.unwrap();
    assert_eq!(low(&embedded, RAW).await, 4);

    // A reader from before is told by the first offset that something is gone.
    let mut reader = EventLog::open(&embedded, DEAD, &[(0, 0)]).await.unwrap();
    append(&embedded, DEAD, 1).await.unwrap();
    embedded.close().await;
    drop(reader.next(1, Duration::ZERO).await);
    let embedded = open(options(&folder)).unwrap();
    let mut reader = EventLog::open(&embedded, DEAD, &[(0, 0)]).await.unwrap();
    let parts = reader.next(1 << 20, Duration::ZERO).await.unwrap();
    assert_eq!(
        (
            parts[0].records[0].offset,
            parts[0].watermarks.low,
            parts[0].watermarks.high
        ),
        (10, 10, 11)
    );
    assert_eq!(partition_of(b"key", 1), 0);
}

#[tokio::test]
async fn at_the_cap_worked_records_make_room_and_others_do_not() {
    let folder = TempDir::new().unwrap();
    let embedded = open(Options {
        max_log_bytes: 20_000,
        ..options(&folder)
    })
    .unwrap();
    let full = append(&embedded, RAW, 100).await.unwrap_err();
    assert!(
        matches!(full, BackendError::Full { .. }) && full.is_retryable(),
        "{full}"
    );
    let high = embedded.watermarks(RAW).await.unwrap()[0].high;
    assert!((15..=20).contains(&high), "{high} records of 1 kB in 20 kB");
    // Other topics share the cap.
    assert!(matches!(
        append(&embedded, DEAD, 1).await,
        Err(BackendError::Full { .. })
    ));

    checkpoint(&embedded, 5).await;
    append(&embedded, RAW, 4).await.unwrap();
    assert!((4..=5).contains(&low(&embedded, RAW).await));
    assert_eq!(embedded.watermarks(RAW).await.unwrap()[0].high, high + 4);
    assert!(matches!(
        append(&embedded, RAW, 3).await,
        Err(BackendError::Full { .. })
    ));

    // Maintenance makes some room ahead.
    checkpoint(&embedded, high).await;
    embedded.retain(noon()).await.unwrap();
    append(&embedded, RAW, 1).await.unwrap();
    assert!(low(&embedded, RAW).await > 5);
}

fn is_full(appended: &Result<(), BackendError>) -> bool {
    matches!(appended, Err(BackendError::Full { .. }))
}

#[tokio::test]
async fn a_full_log_of_which_nothing_is_worked_yet_is_worked_off() {
    let folder = TempDir::new().unwrap();
    let embedded = open(Options {
        max_log_bytes: 20_000,
        ..options(&folder)
    })
    .unwrap();
    assert!(is_full(&append(&embedded, RAW, 100).await));
    let high = embedded.watermarks(RAW).await.unwrap()[0].high;
    // What the analyzer writes before its checkpoint may move. It is more than the cap.
    append_as(&embedded, MATCHES, 30, 1000, Durability::Redoable)
        .await
        .unwrap();
    append_as(&embedded, DEAD, 30, 1000, Durability::Redoable)
        .await
        .unwrap();
    append_as(&embedded, ANALYZED, 30, 1000, Durability::Redoable)
        .await
        .unwrap();
    assert_eq!((low(&embedded, RAW).await, low(&embedded, MATCHES).await), (0, 0));
    assert!(
        is_full(&append(&embedded, RAW, 1).await),
        "the reserve is not for what is promised"
    );

    checkpoint(&embedded, high).await;
    checkpoint_of(&embedded, MATCHES, 30).await;
    append(&embedded, RAW, 10).await.unwrap();
    assert!(low(&embedded, RAW).await > 0);
}

#[tokio::test]
async fn the_reserve_has_an_end_and_publishing_goes_on_beyond_it() {
    let folder = TempDir::new().unwrap();
    let embedded = open(Options {
        max_log_bytes: 20_000,
        ..options(&folder)
    })
    .unwrap();
    assert!(is_full(&append(&embedded, RAW, 100).await));
    assert!(is_full(
        &append_as(&embedded, MATCHES, 100, MEBIBYTE, Durability::Redoable).await
    ));
    let matches = embedded.watermarks(MATCHES).await.unwrap()[0].high;
    assert!((60..=64).contains(&matches), "{matches} MiB in a reserve of 64 MiB");
    // Judge is the one that makes room now: it publishes, and what it published before goes.
    append_as(&embedded, ANALYZED, 4, MEBIBYTE, Durability::Redoable)
        .await
        .unwrap();
    assert_eq!(low(&embedded, ANALYZED).await, 3);
    checkpoint_of(&embedded, MATCHES, matches / 2).await;
    append_as(&embedded, MATCHES, 10, MEBIBYTE, Durability::Redoable)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_cap_below_what_is_there_does_not_stop_the_analyzer() {
    let folder = TempDir::new().unwrap();
    let embedded = open(options(&folder)).unwrap();
    append_as(&embedded, RAW, 70, MEBIBYTE, Durability::Redoable)
        .await
        .unwrap();
    embedded.close().await;
    let embedded = open(Options {
        max_log_bytes: 20_000,
        ..options(&folder)
    })
    .unwrap();
    assert!(is_full(&append(&embedded, RAW, 1).await));
    append_as(&embedded, MATCHES, 1, 1000, Durability::Redoable)
        .await
        .unwrap();
    checkpoint(&embedded, 70).await;
    checkpoint_of(&embedded, MATCHES, 1).await;
    append(&embedded, RAW, 1).await.unwrap();
}

#[tokio::test]
async fn a_partition_that_retention_emptied_holds_up_no_other() {
    let folder = TempDir::new().unwrap();
    let two = || Options {
        partitions: 2,
        ..options(&folder)
    };
    let embedded = open(two()).unwrap();
    let key = |partition| {
        let keys = (0..).map(|at: u32| at.to_string());
        keys.into_iter()
            .find(|key| partition_of(key.as_bytes(), 2) == partition)
            .unwrap()
    };
    let old = embedded.append(DEAD, vec![record(&key(0), "old")], Durability::Redoable);
    old.await.unwrap();
    embedded.retain(noon().plus(DAY * 8)).await.unwrap();
    let new = embedded.append(DEAD, vec![record(&key(1), "new")], Durability::Redoable);
    new.await.unwrap();
    for reopened in [false, true] {
        let embedded = if reopened {
            open(two()).unwrap()
        } else {
            embedded.clone()
        };
        let mut reader = EventLog::open(&embedded, DEAD, &[(0, 0), (1, 0)]).await.unwrap();
        let parts = reader.next(1 << 20, Duration::ZERO).await.unwrap();
        let read: Vec<_> = parts.iter().map(|part| (part.partition, part.records.len())).collect();
        assert_eq!(read, [(1, 1)], "reopened: {reopened}");
        // The empty partition goes on where it ended.
        let next = embedded.append(DEAD, vec![record(&key(0), "next")], Durability::Redoable);
        next.await.unwrap();
        let parts = reader.next(1 << 20, Duration::ZERO).await.unwrap();
        assert_eq!(
            (parts[0].partition, parts[0].records[0].value.as_ref()),
            (0, &b"next"[..])
        );
        embedded.retain(noon().plus(DAY * 8)).await.unwrap();
        embedded
            .append(DEAD, vec![record(&key(1), "new")], Durability::Redoable)
            .await
            .unwrap();
        embedded.close().await;
    }
}

#[tokio::test]
async fn the_feed_forgets_and_says_so() {
    let folder = TempDir::new().unwrap();
    let embedded = open(Options {
        max_feed_records: 3,
        ..options(&folder)
    })
    .unwrap();
    let start = embedded.head().await.unwrap();
    let id = PartitionId {
        topic: RAW.to_owned(),
        partition: 0,
    };
    let mut cursors = vec![start];
    let mut held = embedded.acquire(&id, 1, "one", DAY, noon()).await.unwrap().unwrap();
    for at in 0..10u64 {
        let mut batch = commit(&id, &held, &format!("b{at}"), 1);
        batch.frames = vec![frame(at)];
        batch.threats = vec![new_threat(threat(&format!("THR-{at}")))];
        embedded.commit(batch).await.unwrap();
        held.next_offset += 1;
        cursors.push(embedded.head().await.unwrap());
    }
    embedded.retain(noon()).await.unwrap();
    for (at, cursor) in cursors.iter().enumerate() {
        let gone = matches!(embedded.follow(cursor).await.unwrap(), FeedStart::Gone);
        assert_eq!(gone, at < 7, "after record {at}");
    }
    // By age all may go but the newest, which says where the feed is.
    embedded.retain(noon().plus(DAY * 4)).await.unwrap();
    assert_eq!(&embedded.head().await.unwrap(), cursors.last().unwrap());
    assert!(matches!(embedded.follow(&cursors[8]).await.unwrap(), FeedStart::Gone));
    assert!(matches!(
        embedded.follow(&cursors[10]).await.unwrap(),
        FeedStart::Reader(_)
    ));
}

#[tokio::test]
async fn the_oldest_threats_go_and_the_totals_stay() {
    let folder = TempDir::new().unwrap();
    let embedded = open(Options {
        max_threats: 4,
        ..options(&folder)
    })
    .unwrap();
    let id = PartitionId {
        topic: RAW.to_owned(),
        partition: 0,
    };
    let held = embedded.acquire(&id, 1, "one", DAY, noon()).await.unwrap().unwrap();
    let mut batch = commit(&id, &held, "b", 1);
    batch.threats = (0..10u64)
        .map(|at| {
            let mut threat = threat(&format!("THR-{at}"));
            threat.analyzed_at = noon().plus(Duration::from_secs(at));
            new_threat(threat)
        })
        .collect();
    embedded.commit(batch).await.unwrap();
    embedded.retain(noon()).await.unwrap();
    let stats = embedded.threat_stats().await.unwrap();
    assert_eq!((stats.total_threats, stats.severity_distribution["HIGH"]), (4, 4));
    assert_eq!(embedded.totals(noon()).await.unwrap().threats_detected, 10);
    assert_eq!(embedded.threat("THR-5").await.unwrap(), None);
    assert!(embedded.threat("THR-6").await.unwrap().is_some());
}
