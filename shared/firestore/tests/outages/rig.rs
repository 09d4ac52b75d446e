//! Two processes with one database, and what these tests have them do.

use std::time::{Duration, Instant};

use bytes::Bytes;
use threatstream_backend::conformance::samples::{alert, alert_write, commit, frame, minute, new_threat, noon, threat};
use threatstream_backend::{BackendError, Checkpoint, Commit, CommitError, Leases, PartitionId};
use threatstream_firestore::{FirestoreOptions, FirestoreStore};

use crate::proxy::Proxy;
use crate::support;

/// Of the topic that these tests work.
pub(crate) const PARTITIONS: u32 = 8;
pub(crate) const TTL: Duration = Duration::from_secs(30);
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Two processes with one database, the second behind a proxy.
pub(crate) struct Two {
    pub(crate) near: FirestoreStore,
    pub(crate) far: FirestoreStore,
    pub(crate) way: Proxy,
}

pub(crate) async fn two() -> Option<Two> {
    two_with(|_| {}).await
}

/// The second does not wait for long.
pub(crate) async fn two_impatient() -> Option<Two> {
    two_with(|far| {
        far.request_timeout = Duration::from_secs(3);
        far.feed_silence = Duration::from_secs(2);
    })
    .await
}

pub(crate) async fn two_with(change: impl FnOnce(&mut FirestoreOptions)) -> Option<Two> {
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

pub(crate) fn partition(number: u32) -> PartitionId {
    PartitionId {
        topic: "test.matches".to_owned(),
        partition: number,
    }
}

pub(crate) async fn take(store: &FirestoreStore, owner: &str) -> Checkpoint {
    take_of(store, 0, owner).await
}

pub(crate) async fn take_of(store: &FirestoreStore, number: u32, owner: &str) -> Checkpoint {
    store
        .acquire(&partition(number), PARTITIONS, owner, TTL, noon())
        .await
        .unwrap()
        .unwrap()
}

pub(crate) async fn takes_over(store: &FirestoreStore) -> Checkpoint {
    let taken = store
        .acquire(&partition(0), PARTITIONS, "the next", TTL, noon().plus(TTL))
        .await;
    taken.unwrap().unwrap()
}

pub(crate) fn full(held: &Checkpoint, batch: &str) -> Commit {
    let mut full = commit(&partition(0), held, batch, 3);
    full.threats = vec![new_threat(threat(&format!("THR-{batch}")))];
    full.alerts = vec![alert_write(alert("ALT-1"), 0)];
    full.minutes = vec![minute(7, 3)];
    full.state.delta = Bytes::copy_from_slice(batch.as_bytes());
    full.frames = vec![frame(1)];
    full
}

pub(crate) async fn standing(store: &FirestoreStore) -> Checkpoint {
    store.checkpoints(&partition(0).topic).await.unwrap().remove(0)
}

pub(crate) fn unavailable(result: &Result<(), CommitError>) -> bool {
    matches!(result, Err(CommitError::Backend(BackendError::Unavailable { .. })))
}

/// Until it is made: the way back may be found at the second try.
pub(crate) async fn send_again(store: &FirestoreStore, commit: &Commit) {
    let begun = Instant::now();
    while let Err(error) = store.commit(commit.clone()).await {
        assert!(begun.elapsed() < PATIENCE, "{error}");
        assert!(
            matches!(&error, CommitError::Backend(error) if error.is_retryable()),
            "{error}"
        );
    }
}

pub(crate) fn slots(count: u16, byte: u8) -> Vec<(u16, Bytes)> {
    (0..count)
        .map(|number| (number, Bytes::from(vec![byte; 900 * 1024])))
        .collect()
}
