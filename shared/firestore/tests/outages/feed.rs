//! The feed through outages, and while several commit at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use threatstream_backend::conformance::samples::{commit, frame};
use threatstream_backend::conformance::store::feed::commits_at_once;
use threatstream_backend::{Checkpoint, Feed, FeedReader, FeedRecord, FeedStart, Leases};
use threatstream_firestore::FirestoreStore;
use tokio::task::JoinSet;

use crate::rig::{PARTITIONS, Two, partition, take, take_of, two, two_impatient};
use crate::support;

const PATIENCE: Duration = Duration::from_secs(60);

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

/// How often a record lies before the one that was given before it.
fn inversions(records: &[FeedRecord]) -> u64 {
    records.windows(2).filter(|two| two[0].cursor > two[1].cursor).count() as u64
}

/// The emulator, unlike Firestore, may leave a commit out of a snapshot whose time lies after it. Only such a record, which the
/// reader tells from others, comes after a later one; and it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_at_once_come_in_order_unless_a_snapshot_left_one_out() {
    let Some(store) = support::fresh_store() else { return };
    let told = commits_at_once(store.clone(), "test").await;
    let (inversions, late) = (inversions(&told), store.late_records());
    assert!(
        inversions <= late && (late == 0 || inversions > 0),
        "{inversions} inversions, {late} late"
    );
    if late > 0 {
        eprintln!("the emulator left {late} of {} commits out of a snapshot", told.len());
    }
}

/// The same for more partitions, and for a reader that is cut off and opens its listener anew while they go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_at_once_come_once_through_outages() {
    const COMMITS: u64 = 30;
    let Some(Two { near, far, way }) = two_impatient().await else {
        return;
    };
    let near = Arc::new(near);
    let mut reader = follow(&far).await;
    let mut writers = JoinSet::new();
    for number in 0..PARTITIONS {
        let near = near.clone();
        writers.spawn(async move {
            let mut held = take_of(&near, number, "its only one").await;
            for at in 0..COMMITS {
                let mut next = commit(&partition(number), &held, &format!("{number}-{at}"), 1);
                next.frames = vec![frame(u64::from(number) * COMMITS + at)];
                held.next_offset = next.next_offset;
                near.commit(next).await.unwrap();
            }
        });
    }
    let all = u64::from(PARTITIONS) * COMMITS;
    let mut told = Vec::new();
    for part in 1..=3 {
        read(&mut *reader, &mut told, usize::try_from(all * part / 8).unwrap()).await;
        way.cut();
        // What had come before the cut may still be given; then there is nothing but the outage.
        loop {
            match reader.next(7, Duration::from_secs(1)).await {
                Ok(more) if more.is_empty() => {}
                Ok(more) => told.extend(more),
                Err(error) => break assert!(error.is_retryable(), "{error}"),
            }
        }
        way.open();
    }
    writers.join_all().await;
    read(&mut *reader, &mut told, usize::try_from(all).unwrap()).await;
    // Whatever came twice would come before this.
    let mut held = take(&near, "its only one").await;
    tell(&near, &mut held, all..all + 1).await;
    read(&mut *reader, &mut told, usize::try_from(all + 1).unwrap()).await;
    let mut once = numbers(&told);
    once.sort_unstable();
    assert_eq!(once, (0..=all).collect::<Vec<_>>());
    let (inversions, late) = (inversions(&told), far.late_records());
    assert!(inversions <= late, "{inversions} inversions, {late} late");
}
