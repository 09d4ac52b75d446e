//! Commits whose answers are lost, that never arrive, that come too late, and that others were faster than.

use threatstream_backend::conformance::samples::{commit, execution, new_threat, noon, threat};
use threatstream_backend::{Alerts, Analytics, Checkpoint, CommitError, Leases, Responses, Threats};

use crate::rig::{
    TTL, Two, full, partition, send_again, slots, standing, take, take_of, takes_over, two, two_impatient, unavailable,
};
use crate::support;

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
    let other = partition(1);
    let theirs = take_of(&far, 1, "far").await;
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
    let other = partition(1);
    let theirs = take_of(&far, 1, "far").await;
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
