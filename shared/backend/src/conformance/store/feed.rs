//! The feed.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{committed, follow, partition, take, told_after};
use crate::conformance::PATIENCE;
use crate::conformance::samples::{commit, frame, noon};
use crate::{FeedCursor, FeedRecord, FeedStart, Store};

async fn tell(store: &dyn Store, prefix: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let frames = vec![frame(number), frame(number + 1000)];
        committed(store, prefix, &format!("batch-{number}"), |commit| {
            commit.frames = frames;
        })
        .await;
    }
}

fn numbers(records: &[FeedRecord]) -> Vec<u64> {
    records
        .iter()
        .map(|record| record.frames[0].data.get().parse().unwrap())
        .collect()
}

/// Each commit is one record with its frames in order; cursors grow as text.
pub async fn records_come_in_the_order_of_commits(store: Arc<dyn Store>, prefix: &str) {
    let start = store.head().await.unwrap();
    tell(&*store, prefix, 0..12).await;
    let told = told_after(&*store, &start).await;
    assert_eq!(numbers(&told), (0..12).collect::<Vec<_>>());
    assert!(
        told.iter()
            .all(|record| record.frames.len() == 2 && record.frames[1].data.get().len() == 4)
    );
    assert!(told.is_sorted_by(|a, b| a.cursor < b.cursor && a.committed_at <= b.committed_at));
    assert!(start < told[0].cursor);
    assert_eq!(told[0].committed_at, noon());
    assert_eq!(
        told.last().map(|record| &record.cursor),
        Some(&store.head().await.unwrap())
    );
}

/// What several partitions commit at once comes to a reader that follows meanwhile: once each.
pub async fn commits_at_once_come_once(store: Arc<dyn Store>, prefix: &str) {
    commits_at_once(store, prefix).await;
}

/// What a store promises and its emulator may not keep.
pub mod ordered {
    use super::*;

    /// What several partitions commit at once comes to a reader that follows meanwhile in the order of its places.
    pub async fn commits_at_once_come_in_order(store: Arc<dyn Store>, prefix: &str) {
        let told = commits_at_once(store, prefix).await;
        assert!(told.is_sorted_by(|a, b| a.cursor < b.cursor), "out of order");
    }
}

/// Commits to several partitions at once, asserts that a reader that follows meanwhile is given each commit once, and gives its
/// records as they came.
pub async fn commits_at_once(store: Arc<dyn Store>, prefix: &str) -> Vec<FeedRecord> {
    const PARTITIONS: u32 = 4;
    const COMMITS: u64 = 25;
    let mut reader = follow(&*store, &store.head().await.unwrap()).await;
    let mut writers = JoinSet::new();
    for number in 0..PARTITIONS {
        let (store, id) = (Arc::clone(&store), partition(prefix, number));
        writers.spawn(async move {
            let mut held = take(&*store, &id, "its only one").await;
            for at in 0..COMMITS {
                let mut next = commit(&id, &held, &format!("{number}-{at}"), 1);
                next.frames = vec![frame(u64::from(number) * COMMITS + at)];
                held.next_offset = next.next_offset;
                store.commit(next).await.unwrap();
            }
        });
    }
    let all = u64::from(PARTITIONS) * COMMITS;
    let mut told = Vec::new();
    let begun = Instant::now();
    while (told.len() as u64) < all {
        assert!(begun.elapsed() < PATIENCE, "only {} of {all} came", told.len());
        told.extend(reader.next(7, Duration::from_millis(200)).await.unwrap());
    }
    writers.join_all().await;
    assert!(reader.next(7, Duration::from_millis(20)).await.unwrap().is_empty());
    let mut once = numbers(&told);
    once.sort_unstable();
    assert_eq!(once, (0..all).collect::<Vec<_>>());
    told
}

/// After any cursor that was given, exactly what followed it comes; also in small bites.
pub async fn a_reader_resumes_after_a_cursor(store: Arc<dyn Store>, prefix: &str) {
    let start = store.head().await.unwrap();
    tell(&*store, prefix, 0..6).await;
    let told = told_after(&*store, &start).await;
    for (at, record) in (0u64..).zip(&told) {
        let rest = told_after(&*store, &record.cursor).await;
        assert_eq!(numbers(&rest), (at + 1..6).collect::<Vec<_>>());
    }
    let mut reader = follow(&*store, &start).await;
    let mut bites = Vec::new();
    while bites.len() < 6 {
        let bite = timeout(PATIENCE, reader.next(1, PATIENCE)).await.unwrap().unwrap();
        assert_eq!(bite.len(), 1);
        bites.extend(bite);
    }
    assert_eq!(numbers(&bites), (0..6).collect::<Vec<_>>());
    assert!(reader.next(1, Duration::from_millis(20)).await.unwrap().is_empty());
}

/// A place that is not this feed's is gone: nobody is left believing that nothing is missing.
pub async fn a_foreign_cursor_is_gone(store: Arc<dyn Store>, prefix: &str) {
    tell(&*store, prefix, 0..2).await;
    for cursor in ["", "x", "99999999999999999999", "-1", "0", "1 OR 1=1"] {
        let start = store.follow(&FeedCursor(cursor.to_owned())).await.unwrap();
        assert!(matches!(start, FeedStart::Gone), "{cursor}");
    }
}

/// A reader that waits is given what is committed meanwhile, long before its wait is over.
pub async fn a_commit_wakes_a_reader(store: Arc<dyn Store>, prefix: &str) {
    let mut reader = follow(&*store, &store.head().await.unwrap()).await;
    let waiting = tokio::spawn(async move { reader.next(10, 10 * PATIENCE).await.unwrap() });
    tokio::task::yield_now().await;
    tell(&*store, prefix, 7..8).await;
    let told = timeout(PATIENCE, waiting).await.expect("the reader slept on").unwrap();
    assert_eq!(numbers(&told), [7]);
}

/// A commit that tells nothing leaves the feed where it was.
pub async fn no_frames_make_no_record(store: Arc<dyn Store>, prefix: &str) {
    let start = store.head().await.unwrap();
    committed(&*store, prefix, "quiet", |_| {}).await;
    assert_eq!(store.head().await.unwrap(), start);
}

/// The epoch names the feed for as long as it lives.
pub async fn the_epoch_stays(store: Arc<dyn Store>, prefix: &str) {
    let epoch = store.epoch().await.unwrap();
    assert!(!epoch.is_empty());
    tell(&*store, prefix, 0..2).await;
    assert_eq!(store.epoch().await.unwrap(), epoch);
}

/// Who watches the ticks learns of a commit of its own process.
pub async fn a_commit_ticks(store: Arc<dyn Store>, prefix: &str) {
    let mut ticks = store.ticks();
    ticks.borrow_and_update();
    tell(&*store, prefix, 0..1).await;
    timeout(PATIENCE, ticks.changed())
        .await
        .expect("nothing ticked")
        .unwrap();
}
