//! What a store must do.

pub mod alerts;
pub mod feed;
pub mod leases;
pub mod records;
pub mod threats;

use std::time::Duration;

use super::PATIENCE;
use super::samples::{commit, noon};
use crate::{Checkpoint, Commit, FeedCursor, FeedReader, FeedRecord, FeedStart, PartitionId, Store};

pub(crate) const TTL: Duration = Duration::from_secs(30);

pub(crate) fn partition(prefix: &str, partition: u32) -> PartitionId {
    PartitionId {
        topic: format!("{prefix}.matches"),
        partition,
    }
}

/// Takes a free lease at noon, among four partitions.
pub(crate) async fn take(store: &dyn Store, id: &PartitionId, owner: &str) -> Checkpoint {
    let taken = store.acquire(id, 4, owner, TTL, noon()).await.unwrap();
    taken.expect("the lease was not free")
}

/// Commits what `fill` puts into a commit of one record.
pub(crate) async fn committed(store: &dyn Store, prefix: &str, batch: &str, fill: impl FnOnce(&mut Commit)) {
    let id = partition(prefix, 0);
    let held = take(store, &id, "the only one").await;
    let mut commit = commit(&id, &held, batch, 1);
    fill(&mut commit);
    store.commit(commit).await.unwrap();
}

pub(crate) async fn checkpoint(store: &dyn Store, id: &PartitionId) -> Checkpoint {
    let all = store.checkpoints(&id.topic).await.unwrap();
    all.into_iter()
        .find(|c| c.partition == id.partition)
        .expect("there is no checkpoint")
}

pub(crate) async fn follow(store: &dyn Store, after: &FeedCursor) -> Box<dyn FeedReader> {
    match store.follow(after).await.unwrap() {
        FeedStart::Reader(reader) => reader,
        FeedStart::Gone => panic!("the feed has nothing after {after}"),
    }
}

/// Everything after a place; ends when nothing more is there.
pub(crate) async fn told_after(store: &dyn Store, after: &FeedCursor) -> Vec<FeedRecord> {
    let head = store.head().await.unwrap();
    let mut reader = follow(store, after).await;
    let mut told = Vec::new();
    while told
        .last()
        .map_or(after < &head, |last: &FeedRecord| last.cursor < head)
    {
        let records = tokio::time::timeout(PATIENCE, reader.next(100, PATIENCE)).await;
        told.extend(records.expect("the feed's reader slept on").unwrap());
    }
    told
}
