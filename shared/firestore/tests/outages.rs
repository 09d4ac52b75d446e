//! Nothing is lost and nothing comes twice when the database is out of reach, and when another process was faster.

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use proxy::Proxy;
use threatstream_backend::conformance::samples::{
    alert, alert_write, commit, execution, frame, minute, new_threat, noon, threat,
};
use threatstream_backend::{
    Alerts, Analytics, BackendError, Checkpoint, Commit, CommitError, Feed, FeedReader, FeedRecord, FeedStart, Leases,
    PartitionId, Responses, Threats,
};
use threatstream_firestore::{FirestoreOptions, FirestoreStore};

const TTL: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(60);

/// Two processes with one database, the second behind a proxy.
struct Two {
    near: FirestoreStore,
    far: FirestoreStore,
    way: Proxy,
}

async fn two() -> Option<Two> {
    two_with(|_| {}).await
}

/// The second does not wait for long.
async fn two_impatient() -> Option<Two> {
    two_with(|far| {
        far.request_timeout = Duration::from_secs(3);
        far.feed_silence = Duration::from_secs(2);
    })
    .await
}

async fn two_with(change: impl FnOnce(&mut FirestoreOptions)) -> Option<Two> {
    let host = support::emulator()?;
    let options = support::options(&host);
    let way = Proxy::to(&host).await;
    let mut far = FirestoreOptions {
        emulator_host: Some(way.host.clone()),
        ..options.clone()
    };
    change(&mut far);
    Some(Two {
        near: FirestoreStore::open(options),
        far: FirestoreStore::open(far),
        way,
    })
}

fn partition(number: u32) -> PartitionId {
    PartitionId {
        topic: "test.matches".to_owned(),
        partition: number,
    }
}

async fn take(store: &FirestoreStore, owner: &str) -> Checkpoint {
    store
        .acquire(&partition(0), 4, owner, TTL, noon())
        .await
        .unwrap()
        .unwrap()
}

async fn takes_over(store: &FirestoreStore) -> Checkpoint {
    let taken = store.acquire(&partition(0), 4, "the next", TTL, noon().plus(TTL)).await;
    taken.unwrap().unwrap()
}

fn full(held: &Checkpoint, batch: &str) -> Commit {
    let mut full = commit(&partition(0), held, batch, 3);
    full.threats = vec![new_threat(threat(&format!("THR-{batch}")))];
    full.alerts = vec![alert_write(alert("ALT-1"), 0)];
    full.minutes = vec![minute(7, 3)];
    full.state.delta = Bytes::copy_from_slice(batch.as_bytes());
    full.frames = vec![frame(1)];
    full
}

async fn standing(store: &FirestoreStore) -> Checkpoint {
    store.checkpoints(&partition(0).topic).await.unwrap().remove(0)
}

fn unavailable(result: &Result<(), CommitError>) -> bool {
    matches!(result, Err(CommitError::Backend(BackendError::Unavailable { .. })))
}

/// Until it is made: the way back may be found at the second try.
async fn send_again(store: &FirestoreStore, commit: &Commit) {
    let begun = Instant::now();
    while let Err(error) = store.commit(commit.clone()).await {
        assert!(begun.elapsed() < PATIENCE, "{error}");
        assert!(
            matches!(&error, CommitError::Backend(error) if error.is_retryable()),
            "{error}"
        );
    }
}

async fn follow(store: &FirestoreStore) -> Box<dyn FeedReader> {
    match store.follow(&store.head().await.unwrap()).await.unwrap() {
        FeedStart::Reader(reader) => reader,
        FeedStart::Gone => panic!("the head is gone"),
    }
}

fn numbers(records: &[FeedRecord]) -> Vec<u64> {
    records
        .iter()
        .map(|record| record.frames[0].data.get().parse().unwrap())
        .collect()
}

/// Reads until so many records have come; what fails meanwhile is tried again, as a relay does.
async fn read(reader: &mut dyn FeedReader, records: &mut Vec<FeedRecord>, until: usize) {
    let begun = Instant::now();
    while records.len() < until {
        assert!(begun.elapsed() < PATIENCE, "only {:?} came", numbers(records));
        match reader.next(7, Duration::from_millis(500)).await {
            Ok(more) => records.extend(more),
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
}

/// Commits that tell these numbers, one each.
async fn tell(store: &FirestoreStore, held: &mut Checkpoint, told: std::ops::Range<u64>) {
    for number in told {
        let mut next = commit(&partition(0), held, &format!("batch-{number}"), 1);
        next.frames = vec![frame(number)];
        store.commit(next).await.unwrap();
        held.next_offset += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_made_once() {
    let Some(Two { near, far, way }) = two_impatient().await else {
        return;
    };
    let held = take(&far, "far").await;
    far.commit(full(&held, "b1")).await.unwrap();
    let held = standing(&near).await;

    way.deafen();
    let lost = far.commit(full(&held, "b2")).await;
    assert!(unavailable(&lost), "{lost:?}");
    assert_eq!(standing(&near).await.batch_id.as_deref(), Some("b2"), "it was made");
    let stats = near.threat_stats().await.unwrap();

    way.open();
    send_again(&far, &full(&held, "b2")).await;
    let after = standing(&near).await;
    assert_eq!((after.next_offset, after.tally.clean), (6, 6));
    assert_eq!(near.threat_stats().await.unwrap(), stats);
    assert_eq!(near.minutes(7, 7).await.unwrap()[0].processed, 6);
    assert_eq!(near.load_state(&partition(0)).await.unwrap().deltas, ["b1", "b2"]);
    far.commit(full(&after, "b3")).await.unwrap();
    assert_eq!(near.totals(noon()).await.unwrap().threats_detected, 3);
    assert_eq!(near.totals(noon()).await.unwrap().alerts_generated, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_arrived_is_made_when_it_is_sent_again() {
    let Some(Two { near, far, way }) = two_impatient().await else {
        return;
    };
    let held = take(&far, "far").await;
    way.cut();
    let lost = far.commit(full(&held, "b1")).await;
    assert!(unavailable(&lost), "{lost:?}");
    assert_eq!(standing(&near).await.next_offset, 0);
    way.open();
    send_again(&far, &full(&held, "b1")).await;
    assert_eq!(standing(&near).await.tally.clean, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_comes_through_an_outage_once_and_in_order() {
    const OUTAGE: Duration = Duration::from_secs(10);
    let Some(Two { near, far, way }) = two_impatient().await else {
        return;
    };
    let mut held = take(&near, "near").await;
    let mut reader = follow(&far).await;
    let mut records = Vec::new();
    tell(&near, &mut held, 0..5).await;
    read(&mut *reader, &mut records, 5).await;

    way.cut();
    let begun = Instant::now();
    let mut failed = false;
    let mut next = 5;
    while begun.elapsed() < OUTAGE {
        tell(&near, &mut held, next..next + 2).await;
        next += 2;
        match reader.next(7, Duration::from_millis(300)).await {
            Ok(none) => assert!(none.is_empty(), "{:?} came through", numbers(&none)),
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                failed = true;
            }
        }
    }
    assert!(failed, "nobody was told of the outage");

    way.open();
    tell(&near, &mut held, next..next + 5).await;
    next += 5;
    read(&mut *reader, &mut records, usize::try_from(next).unwrap()).await;
    tell(&near, &mut held, next..next + 1).await;
    read(&mut *reader, &mut records, usize::try_from(next + 1).unwrap()).await;
    assert_eq!(numbers(&records), (0..=next).collect::<Vec<_>>());
    assert!(records.is_sorted_by(|a, b| a.cursor < b.cursor));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_fell_silent_is_found_out() {
    let Some(Two { near, far, way }) = two_impatient().await else {
        return;
    };
    let mut held = take(&near, "near").await;
    let mut reader = follow(&far).await;
    let mut records = Vec::new();
    tell(&near, &mut held, 0..3).await;
    read(&mut *reader, &mut records, 3).await;
    // The connection stays, and says nothing more.
    way.deafen();
    tell(&near, &mut held, 3..6).await;
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "nobody noticed");
        match reader.next(7, Duration::from_secs(1)).await {
            Ok(none) => assert!(none.is_empty(), "{:?} came through", numbers(&none)),
            Err(error) => break assert!(error.is_retryable(), "{error}"),
        }
    }
    way.open();
    read(&mut *reader, &mut records, 6).await;
    assert_eq!(numbers(&records), (0..6).collect::<Vec<_>>());
}

/// Long enough for the listener to be opened anew without what is past.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_feed_comes_once_and_in_order() {
    const RECORDS: u64 = 300;
    let Some(Two { near, far, .. }) = two().await else {
        return;
    };
    let mut held = take(&near, "near").await;
    let mut reader = follow(&far).await;
    let mut records = Vec::new();
    let begun = Instant::now();
    let mut told = 0;
    // How soon most of it is past depends on the emulator's pace.
    while told < RECORDS || (far.usage().reads < told + 20 && begun.elapsed() < PATIENCE) {
        tell(&near, &mut held, told..told + 10).await;
        told += 10;
        read(&mut *reader, &mut records, usize::try_from(told).unwrap()).await;
    }
    tell(&near, &mut held, told..told + 10).await;
    told += 10;
    read(&mut *reader, &mut records, usize::try_from(told).unwrap()).await;
    assert_eq!(numbers(&records), (0..told).collect::<Vec<_>>());
    let reads = far.usage().reads;
    assert!(
        reads >= told + 10,
        "{reads} reads of {told} records: the listener was never opened anew"
    );
    assert!(reads < 3 * told + 100, "{reads} reads of {told} records");
}

fn slots(count: u16, byte: u8) -> Vec<(u16, Bytes)> {
    (0..count)
        .map(|number| (number, Bytes::from(vec![byte; 900 * 1024])))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_larger_than_a_request_is_saved_whole() {
    let Some(Two { near, far, .. }) = two().await else {
        return;
    };
    let mut held = take(&near, "near").await;
    for (byte, batch) in [(1, "b1"), (2, "b2"), (3, "b3")] {
        let mut next = commit(&partition(0), &held, batch, 1);
        next.state.snapshot = Some(slots(22, byte));
        next.threats = vec![new_threat(threat(&format!("THR-{batch}")))];
        near.commit(next).await.unwrap();
        held.next_offset += 1;
        assert_eq!(far.load_state(&partition(0)).await.unwrap().slots, slots(22, byte));
    }
    assert_eq!(standing(&far).await.next_offset, 3);
    assert!(far.originals("THR-b3").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_leaves_no_trace_however_large_its_commit() {
    let Some(Two {
        near: zombie,
        far: holder,
        ..
    }) = two().await
    else {
        return;
    };
    let held = take(&zombie, "zombie").await;
    let mut first = full(&held, "b1");
    first.state.snapshot = Some(slots(2, 1));
    zombie.commit(first).await.unwrap();

    let taken = takes_over(&holder).await;
    let mut second = full(&taken, "b2");
    second.state.snapshot = Some(slots(12, 2));
    holder.commit(second).await.unwrap();

    let mut late = full(&Checkpoint { next_offset: 3, ..held }, "late");
    late.state.snapshot = Some(slots(22, 9));
    let refused = zombie.commit(late).await;
    assert!(matches!(refused, Err(CommitError::Refused)), "{refused:?}");
    assert!(!zombie.renew(&partition(0), 1, TTL, noon()).await.unwrap());
    assert_eq!(holder.load_state(&partition(0)).await.unwrap().slots, slots(12, 2));
    assert_eq!(holder.threat("THR-late").await.unwrap(), None);
    let third = full(&standing(&holder).await, "b3");
    holder.commit(third).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_other_processes_stored_is_found_by_the_commit() {
    let Some(Two { near, far, .. }) = two().await else {
        return;
    };
    let held = take(&near, "near").await;
    near.commit(full(&held, "b1")).await.unwrap();
    let held = standing(&near).await;

    // Another partition's batch stored one of the threats.
    let other = PartitionId {
        partition: 1,
        ..partition(0)
    };
    let theirs = far.acquire(&other, 4, "far", TTL, noon()).await.unwrap().unwrap();
    let mut before = commit(&other, &theirs, "theirs", 1);
    before.threats = vec![new_threat(threat("THR-both"))];
    far.commit(before).await.unwrap();

    // And an analyst has taken the alert.
    let mut case = far.alert("ALT-1").await.unwrap().unwrap().case;
    case.version = 1;
    far.save_case("ALT-1", 0, case, noon()).await.unwrap().unwrap();

    let mut next = full(&held, "b2");
    next.threats.push(new_threat(threat("THR-both")));
    match near.commit(next.clone()).await {
        Err(CommitError::AlertsChanged(ids)) => assert_eq!(ids, ["ALT-1"]),
        other => panic!("{other:?}"),
    }
    next.alerts[0].case_version = 1;
    near.commit(next).await.unwrap();
    assert_eq!(near.threat_stats().await.unwrap().total_threats, 3);
    assert_eq!(near.totals(noon()).await.unwrap().alerts_generated, 1);
    assert_eq!(standing(&near).await.tally.clean, 6);
}

/// What was written ahead moved the lease's time, and is not the reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_commit_finds_what_other_processes_stored() {
    let Some(Two { near, far, .. }) = two().await else {
        return;
    };
    let held = take(&near, "near").await;
    let other = PartitionId {
        partition: 1,
        ..partition(0)
    };
    let theirs = far.acquire(&other, 4, "far", TTL, noon()).await.unwrap().unwrap();
    let mut before = commit(&other, &theirs, "theirs", 1);
    before.threats = vec![new_threat(threat("THR-both"))];
    far.commit(before).await.unwrap();

    let mut next = full(&held, "b1");
    next.threats.push(new_threat(threat("THR-both")));
    next.state.snapshot = Some(slots(6, 1));
    near.commit(next).await.unwrap();
    assert_eq!(near.threat_stats().await.unwrap().total_threats, 2);
    assert_eq!(far.load_state(&partition(0)).await.unwrap().slots, slots(6, 1));
    assert_eq!(standing(&far).await.next_offset, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undisturbed_commit_reads_nothing() {
    let Some(near) = support::fresh_store() else { return };
    let mut held = take(&near, "near").await;
    let before = near.usage();
    for batch in ["b1", "b2", "b3"] {
        near.commit(full(&held, batch)).await.unwrap();
        near.renew(&partition(0), held.owner_epoch, TTL, noon()).await.unwrap();
        held.next_offset += 3;
    }
    let after = near.usage();
    assert_eq!(after.reads, before.reads);
    // Lease, delta, minute, threat, originals, alert, feed; and the renewal.
    assert_eq!(after.writes - before.writes, 3 * 8);
    assert_eq!(after.deletes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_whose_answer_was_lost_was_made() {
    let Some(Two { near, far, way }) = two().await else {
        return;
    };
    assert_eq!(far.execution("EXE-1").await.unwrap(), None);
    way.deafen();
    let creation = tokio::spawn(async move { far.create_execution(&execution("EXE-1"), noon()).await });
    while near.execution("EXE-1").await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    way.open();
    assert!(creation.await.unwrap().unwrap(), "it was somebody else's");
    assert!(!near.create_execution(&execution("EXE-1"), noon()).await.unwrap());
}
