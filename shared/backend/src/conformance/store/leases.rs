//! Leases, checkpoints, state, and the commit.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{TTL, checkpoint, partition, take};
use crate::conformance::samples::{alert, alert_write, commit, frame, minute, new_threat, noon, threat};
use crate::{BackendError, CommitError, StateChange, Store};

/// While one holds a lease, no other gets it.
pub async fn a_lease_has_one_holder(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let held = take(&*store, &id, "one").await;
    assert_eq!((held.next_offset, held.owner_epoch, held.batch_id), (0, 1, None));
    let later = noon().plus(TTL / 2);
    assert_eq!(store.acquire(&id, 4, "other", TTL, later).await.unwrap(), None);
    assert!(
        store
            .acquire(&partition(prefix, 1), 4, "other", TTL, later)
            .await
            .unwrap()
            .is_some()
    );
}

/// Once its time is up, a lease is the next one's, who sees how far the first came.
pub async fn a_lease_that_ran_out_is_taken_over(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let held = take(&*store, &id, "one").await;
    store.commit(commit(&id, &held, "b1", 5)).await.unwrap();
    let taken = store
        .acquire(&id, 4, "other", TTL, noon().plus(TTL))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((taken.owner_epoch, taken.next_offset), (held.owner_epoch + 1, 5));
    assert_eq!(taken.batch_id.as_deref(), Some("b1"));
    assert_eq!(taken.lease_until, noon().plus(TTL * 2));
}

/// A process that starts again under its name need not wait; its epoch grows all the same.
pub async fn the_same_owner_takes_its_lease_again(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let first = take(&*store, &id, "one").await;
    assert_eq!(take(&*store, &id, "one").await.owner_epoch, first.owner_epoch + 1);
}

/// Who gives a lease up leaves it to the next at once; who has lost it gives up nothing.
pub async fn a_released_lease_is_free(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let held = take(&*store, &id, "one").await;
    store.release(&id, held.owner_epoch).await.unwrap();
    take(&*store, &id, "other").await;
    store.release(&id, held.owner_epoch).await.unwrap();
    assert_eq!(store.acquire(&id, 4, "third", TTL, noon()).await.unwrap(), None);
}

/// Renewing prolongs the holder's lease; for who has lost it, it says so and changes nothing.
pub async fn a_lease_is_renewed_by_its_holder_alone(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let held = take(&*store, &id, "one").await;
    let later = noon().plus(TTL / 2);
    assert!(store.renew(&id, held.owner_epoch, TTL, later).await.unwrap());
    assert_eq!(checkpoint(&*store, &id).await.lease_until, later.plus(TTL));
    assert_eq!(
        store.acquire(&id, 4, "other", TTL, noon().plus(TTL)).await.unwrap(),
        None
    );
    let taken = store
        .acquire(&id, 4, "other", TTL, later.plus(TTL))
        .await
        .unwrap()
        .unwrap();
    assert!(!store.renew(&id, held.owner_epoch, TTL * 9, later).await.unwrap());
    assert_eq!(checkpoint(&*store, &id).await.lease_until, taken.lease_until);
}

/// A topic worked with four partitions is not worked with six.
pub async fn the_number_of_partitions_is_fixed(store: Arc<dyn Store>, prefix: &str) {
    take(&*store, &partition(prefix, 0), "one").await;
    for partitions in [6, 3] {
        let refused = store
            .acquire(&partition(prefix, 1), partitions, "one", TTL, noon())
            .await;
        assert!(matches!(refused, Err(BackendError::Rejected { .. })), "{refused:?}");
    }
    assert!(
        store
            .acquire(&partition(prefix, 1), 4, "one", TTL, noon())
            .await
            .unwrap()
            .is_some()
    );
}

/// A commit moves offset, batch, tally, losses and what is unpublished, and leaves the lease as it is.
pub async fn a_commit_moves_the_checkpoint(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 2);
    let mut held = take(&*store, &id, "one").await;
    for (batch, records, unpublished) in [("b1", 5, vec!["THR-1".to_owned()]), ("b2", 7, Vec::new())] {
        let mut next = commit(&id, &held, batch, records);
        next.lost = 2;
        next.unpublished.clone_from(&unpublished);
        store.commit(next).await.unwrap();
        let moved = checkpoint(&*store, &id).await;
        assert_eq!(moved.next_offset, held.next_offset + records);
        assert_eq!(moved.tally.clean, held.tally.clean + records);
        assert_eq!(moved.lost, held.lost + 2);
        assert_eq!(
            (moved.batch_id.as_deref(), moved.unpublished.clone()),
            (Some(batch), unpublished)
        );
        assert_eq!(
            (moved.owner_epoch, moved.lease_until),
            (held.owner_epoch, held.lease_until)
        );
        held = moved;
    }
}

/// A commit sent again, because its answer was lost, succeeds and adds nothing.
pub async fn the_same_commit_twice_has_its_effect_once(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let held = take(&*store, &id, "one").await;
    let mut once = commit(&id, &held, "b1", 3);
    once.minutes = vec![minute(7, 3)];
    once.threats = vec![new_threat(threat("THR-1"))];
    once.state.delta = Bytes::from_static(b"delta");
    once.frames = vec![frame(1)];
    store.commit(once.clone()).await.unwrap();
    let (head, stats) = (store.head().await.unwrap(), store.threat_stats().await.unwrap());
    store.commit(once).await.unwrap();
    assert_eq!(checkpoint(&*store, &id).await.next_offset, 3);
    assert_eq!(checkpoint(&*store, &id).await.tally.clean, 3);
    assert_eq!(store.minutes(7, 7).await.unwrap(), [minute(7, 3)]);
    assert_eq!(store.load_state(&id).await.unwrap().deltas.len(), 1);
    assert_eq!(
        (store.head().await.unwrap(), store.threat_stats().await.unwrap()),
        (head, stats)
    );
}

/// A commit that does not start where the checkpoint stands, or without a lease, is refused.
pub async fn a_commit_from_elsewhere_is_refused(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let mut held = take(&*store, &id, "one").await;
    store.commit(commit(&id, &held, "b1", 5)).await.unwrap();
    for offset in [0, 4, 6] {
        held.next_offset = offset;
        let refused = store.commit(commit(&id, &held, "b2", 5)).await;
        assert!(matches!(refused, Err(CommitError::Refused)), "at {offset}: {refused:?}");
    }
    held.next_offset = 0;
    let refused = store.commit(commit(&partition(prefix, 3), &held, "b3", 1)).await;
    assert!(
        matches!(refused, Err(CommitError::Refused)),
        "never leased: {refused:?}"
    );
    assert_eq!(checkpoint(&*store, &id).await.next_offset, 5);
}

/// Who lost its lease without noticing cannot commit, nor prolong, and the new holder can.
pub async fn a_zombie_is_refused(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let zombie = take(&*store, &id, "one").await;
    let holder = store
        .acquire(&id, 4, "other", TTL, noon().plus(TTL))
        .await
        .unwrap()
        .unwrap();
    let refused = store.commit(commit(&id, &zombie, "z", 5)).await;
    assert!(matches!(refused, Err(CommitError::Refused)), "{refused:?}");
    assert!(!store.renew(&id, zombie.owner_epoch, TTL, noon()).await.unwrap());
    store.commit(commit(&id, &holder, "h", 2)).await.unwrap();
    assert_eq!(checkpoint(&*store, &id).await.next_offset, 2);
}

/// Of a refused commit there is no trace in anything.
pub async fn a_refused_commit_writes_nothing(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let mut held = take(&*store, &id, "one").await;
    held.owner_epoch += 1;
    let head = store.head().await.unwrap();
    let mut refused = commit(&id, &held, "b1", 1);
    refused.threats = vec![new_threat(threat("THR-1"))];
    refused.alerts = vec![alert_write(alert("ALT-1"), 0)];
    refused.minutes = vec![minute(7, 1)];
    refused.frames = vec![frame(1)];
    refused.state = StateChange {
        delta: Bytes::from_static(b"delta"),
        snapshot: Some(vec![(0, Bytes::from_static(b"slot"))]),
    };
    assert!(matches!(store.commit(refused).await, Err(CommitError::Refused)));
    nothing_written(&*store, prefix).await;
    assert_eq!(store.head().await.unwrap(), head);
    let state = store.load_state(&id).await.unwrap();
    assert_eq!((state.slots.len(), state.deltas.len()), (0, 0));
}

async fn nothing_written(store: &dyn Store, prefix: &str) {
    assert_eq!(store.threat("THR-1").await.unwrap(), None);
    assert_eq!(store.threat_stats().await.unwrap().total_threats, 0);
    assert_eq!(store.alert("ALT-1").await.unwrap(), None);
    assert_eq!(store.minutes(0, 100).await.unwrap(), []);
    assert_eq!(checkpoint(store, &partition(prefix, 0)).await.next_offset, 0);
}

/// A batch judged on an alert that an analyst changed meanwhile is not written, and names every such alert.
pub async fn a_commit_on_a_changed_alert_writes_nothing(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let held = take(&*store, &id, "one").await;
    let mut first = commit(&id, &held, "b1", 0);
    first.alerts = vec![alert_write(alert("ALT-2"), 0), alert_write(alert("ALT-3"), 0)];
    store.commit(first).await.unwrap();
    let mut case = store.alert("ALT-2").await.unwrap().unwrap().case;
    case.version = 1;
    store.save_case("ALT-2", 0, case, noon()).await.unwrap().unwrap();

    let mut stale = commit(&id, &held, "b2", 1);
    stale.threats = vec![new_threat(threat("THR-1"))];
    stale.minutes = vec![minute(7, 1)];
    stale.alerts = ["ALT-1", "ALT-2", "ALT-3"].map(|id| alert_write(alert(id), 0)).into();
    match store.commit(stale.clone()).await {
        Err(CommitError::AlertsChanged(ids)) => assert_eq!(ids, ["ALT-2"]),
        other => panic!("{other:?}"),
    }
    nothing_written(&*store, prefix).await;
    stale.alerts[1].case_version = 1;
    store.commit(stale).await.unwrap();
    assert!(store.alert("ALT-1").await.unwrap().is_some());
}

/// Time alone refuses nobody: while no other took the lease, its holder's commit stands.
pub async fn a_commit_after_the_lease_ran_out_stands(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let held = take(&*store, &id, "one").await;
    let mut late = commit(&id, &held, "b1", 1);
    late.now = noon().plus(TTL * 10);
    store.commit(late).await.unwrap();
    assert!(
        store
            .renew(&id, held.owner_epoch, TTL, noon().plus(TTL * 10))
            .await
            .unwrap()
    );
}

/// A commit prolongs its holder's lease, and never shortens it; one that was given up it does not take again.
pub async fn a_commit_prolongs_the_lease(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let held = take(&*store, &id, "one").await;
    let later = noon().plus(TTL / 2);
    let mut first = commit(&id, &held, "b1", 1);
    (first.now, first.lease_until) = (later, later.plus(TTL));
    store.commit(first.clone()).await.unwrap();
    assert_eq!(checkpoint(&*store, &id).await.lease_until, later.plus(TTL));
    assert_eq!(
        store.acquire(&id, 4, "other", TTL, noon().plus(TTL)).await.unwrap(),
        None
    );
    let next = |name: &str, at: u64| {
        let mut next = commit(&id, &held, name, 1);
        (next.expected_offset, next.next_offset) = (at, at + 1);
        next
    };
    let mut short = next("b2", 1);
    short.lease_until = noon();
    store.commit(short).await.unwrap();
    assert_eq!(checkpoint(&*store, &id).await.lease_until, later.plus(TTL));
    store.release(&id, held.owner_epoch).await.unwrap();
    let mut last = next("b3", 2);
    last.lease_until = noon().plus(TTL * 9);
    store.commit(last).await.unwrap();
    assert!(checkpoint(&*store, &id).await.lease_until <= noon());
    assert!(store.acquire(&id, 4, "other", TTL, noon()).await.unwrap().is_some());
}

/// Two commits from the same place at the same time: exactly one is made.
pub async fn one_of_two_commits_at_once_wins(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let held = take(&*store, &id, "one").await;
    let (one, other) = tokio::join!(
        store.commit(commit(&id, &held, "one", 1)),
        store.commit(commit(&id, &held, "other", 2)),
    );
    let moved = checkpoint(&*store, &id).await;
    match (one, other) {
        (Ok(()), Err(CommitError::Refused)) => assert_eq!(moved.next_offset, 1),
        (Err(CommitError::Refused), Ok(())) => assert_eq!(moved.next_offset, 2),
        both => panic!("{both:?}"),
    }
    assert_eq!(moved.tally.clean, moved.next_offset);
}

/// Deltas come back in order; a snapshot replaces its slots, keeps the others, and ends the deltas.
pub async fn deltas_gather_until_a_snapshot(store: Arc<dyn Store>, prefix: &str) {
    let id = partition(prefix, 0);
    let held = take(&*store, &id, "one").await;
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let changes = [
        ("d1", None),
        ("", None),
        ("d2", None),
        ("d3", Some(vec![(0, bytes("s0")), (3, bytes("s3"))])),
        ("d4", None),
        ("", Some(vec![(3, bytes("new s3"))])),
        ("d5", None),
    ];
    let mut states = Vec::new();
    for (at, (delta, snapshot)) in (0u64..).zip(changes) {
        let mut next = commit(&id, &held, &format!("b{at}"), 1);
        (next.expected_offset, next.next_offset) = (at, at + 1);
        next.state = StateChange {
            delta: bytes(delta),
            snapshot,
        };
        store.commit(next).await.unwrap();
        let state = store.load_state(&id).await.unwrap();
        states.push((state.slots, state.deltas));
    }
    assert_eq!(states[0], (vec![], vec![bytes("d1")]));
    assert_eq!(states[2], (vec![], vec![bytes("d1"), bytes("d2")]));
    assert_eq!(states[3], (vec![(0, bytes("s0")), (3, bytes("s3"))], vec![]));
    assert_eq!(states[4].1, [bytes("d4")]);
    assert_eq!(
        states[6],
        (vec![(0, bytes("s0")), (3, bytes("new s3"))], vec![bytes("d5")])
    );
}

/// A partition's state is its own, however large.
pub async fn partitions_have_states_of_their_own(store: Arc<dyn Store>, prefix: &str) {
    let large = Bytes::from(vec![7; 900 * 1024]);
    for number in 0..2u16 {
        let id = partition(prefix, number.into());
        let held = take(&*store, &id, "one").await;
        let mut next = commit(&id, &held, "b", 1);
        next.state.snapshot = Some(vec![(number, large.slice(usize::from(number)..))]);
        store.commit(next).await.unwrap();
    }
    for number in 0..2u16 {
        let state = store.load_state(&partition(prefix, number.into())).await.unwrap();
        assert_eq!(state.slots, [(number, large.slice(usize::from(number)..))]);
    }
    assert!(store.load_state(&partition(prefix, 2)).await.unwrap().slots.is_empty());
}

/// The checkpoints of a topic come in the order of partitions; those never leased are absent, as are other topics'.
pub async fn checkpoints_come_in_order(store: Arc<dyn Store>, prefix: &str) {
    for number in [3, 0, 2] {
        take(&*store, &partition(prefix, number), "one").await;
    }
    take(&*store, &partition(&format!("{prefix}-other"), 1), "one").await;
    let topic = partition(prefix, 0).topic;
    let partitions: Vec<u32> = store
        .checkpoints(&topic)
        .await
        .unwrap()
        .iter()
        .map(|c| c.partition)
        .collect();
    assert_eq!(partitions, [0, 2, 3]);
    assert_eq!(store.checkpoints("no topic").await.unwrap(), []);
    // A lease of no time is free at once.
    let id = partition(prefix, 1);
    store
        .acquire(&id, 4, "one", Duration::ZERO, noon())
        .await
        .unwrap()
        .unwrap();
    assert!(store.acquire(&id, 4, "other", TTL, noon()).await.unwrap().is_some());
}
