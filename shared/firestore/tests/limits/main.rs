//! What the database limits, and what it leaves to its clients: large documents, late deletion, lists over shards.

mod at_once;
mod documents;
mod expiry;
mod lists;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;
use threatstream_backend::conformance::samples::{commit, noon};
use threatstream_backend::{Checkpoint, Commit, Leases, PartitionId};
use threatstream_firestore::FirestoreStore;

fn partition() -> PartitionId {
    PartitionId {
        topic: "test.matches".to_owned(),
        partition: 0,
    }
}

async fn take(store: &FirestoreStore) -> Checkpoint {
    let ttl = Duration::from_secs(30);
    store
        .acquire(&partition(), 4, "one", ttl, noon())
        .await
        .unwrap()
        .unwrap()
}

async fn committed(store: &FirestoreStore, batch: &str, fill: impl FnOnce(&mut Commit)) {
    let held = take(store).await;
    let mut commit = commit(&partition(), &held, batch, 1);
    fill(&mut commit);
    store.commit(commit).await.unwrap();
}
