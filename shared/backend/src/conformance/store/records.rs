//! Executions, the blocklist, the simulation, settings and counters.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use threatstream_domain::{
    Execution, ExecutionStatus, FrameKind, SimulationState, SimulationStatus, StepStatus, Timestamp,
};
use tokio::task::JoinSet;

use super::{committed, partition, take, told_after};
use crate::conformance::samples::{alert, alert_write, block, commit, execution, minute, new_threat, noon, threat};
use crate::{BackendError, Effect, ExecutionQuery, Store, Totals};

/// An id makes one execution, told once.
pub async fn an_execution_is_created_once(store: Arc<dyn Store>, _prefix: &str) {
    let start = store.head().await.unwrap();
    let first = execution("EXE-1");
    let mut second = first.clone();
    second.status = ExecutionStatus::Failed;
    assert!(store.create_execution(&first, noon()).await.unwrap());
    assert!(!store.create_execution(&second, noon()).await.unwrap());
    assert_eq!(store.execution("EXE-1").await.unwrap(), Some(first.clone()));
    assert_eq!(store.execution("EXE-2").await.unwrap(), None);
    let told = told_after(&*store, &start).await;
    assert_eq!((told.len(), told[0].frames[0].kind), (1, FrameKind::PlaybookStatus));
    assert_eq!(
        serde_json::from_str::<Execution>(told[0].frames[0].data.get()).unwrap(),
        first
    );
}

/// Of two saves of the same version one is made; the other is told and does nothing.
pub async fn an_execution_is_saved_at_its_version_alone(store: Arc<dyn Store>, _prefix: &str) {
    let mut running = execution("EXE-1");
    assert_eq!(
        store.save_execution(&running, &[], noon()).await.unwrap(),
        None,
        "not created"
    );
    store.create_execution(&running, noon()).await.unwrap();
    running.steps[0].status = StepStatus::Running;
    let saved = store.save_execution(&running, &[], noon()).await.unwrap().unwrap();
    assert_eq!(saved.version, running.version + 1);
    assert_eq!(saved.steps, running.steps);
    assert_eq!(store.execution("EXE-1").await.unwrap(), Some(saved));

    let head = store.head().await.unwrap();
    let effects = [Effect::Block(block("203.0.113.7", "EXE-1", 60))];
    assert_eq!(store.save_execution(&running, &effects, noon()).await.unwrap(), None);
    assert_eq!(store.blocklist(noon()).await.unwrap(), []);
    assert_eq!(store.head().await.unwrap(), head);
}

async fn step(store: &dyn Store, id: &str, effects: &[Effect]) {
    let execution = match store.execution(id).await.unwrap() {
        Some(execution) => execution,
        None => {
            assert!(store.create_execution(&execution(id), noon()).await.unwrap());
            execution(id)
        }
    };
    store
        .save_execution(&execution, effects, noon())
        .await
        .unwrap()
        .unwrap();
}

/// The effects of a step are there when its state is, and an execution lifts its own blocks alone.
pub async fn effects_come_with_their_step(store: Arc<dyn Store>, prefix: &str) {
    let new = new_threat(threat("THR-1"));
    committed(&*store, prefix, "b", |commit| commit.threats = vec![new]).await;
    let start = store.head().await.unwrap();
    let marked = Effect::AutoBlocked {
        threat_id: "THR-1".to_owned(),
        blocked: true,
    };
    let set = Effect::Block(block("203.0.113.7", "EXE-1", 60));
    step(&*store, "EXE-1", &[set.clone(), marked]).await;
    assert_eq!(
        store.blocklist(noon()).await.unwrap(),
        [block("203.0.113.7", "EXE-1", 60)]
    );
    assert!(store.threat("THR-1").await.unwrap().unwrap().auto_blocked);
    let kinds: Vec<FrameKind> = told_after(&*store, &start)
        .await
        .iter()
        .flat_map(|record| record.frames.iter().map(|frame| frame.kind))
        .collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == FrameKind::ThreatUpdate).count(), 1);
    assert_eq!(
        kinds.iter().filter(|kind| **kind == FrameKind::PlaybookStatus).count(),
        2
    );

    let lift = |execution_id: &str| Effect::Unblock {
        ip: "203.0.113.7".to_owned(),
        execution_id: execution_id.to_owned(),
    };
    step(&*store, "EXE-2", &[lift("EXE-2")]).await;
    assert_eq!(
        store.blocklist(noon()).await.unwrap().len(),
        1,
        "another's block was lifted"
    );
    step(&*store, "EXE-1", &[lift("EXE-1")]).await;
    assert_eq!(store.blocklist(noon()).await.unwrap(), []);
}

/// Blocks end by themselves; of two blocks of one address the later end counts, and the address is listed once.
pub async fn a_block_keeps_the_later_expiry(store: Arc<dyn Store>, _prefix: &str) {
    let at = |seconds| noon().plus(Duration::from_secs(seconds));
    let blocks = |ip: &str, id: &str, seconds| [Effect::Block(block(ip, id, seconds))];
    step(&*store, "EXE-1", &blocks("203.0.113.7", "EXE-1", 60)).await;
    step(&*store, "EXE-2", &blocks("203.0.113.7", "EXE-2", 30)).await;
    step(&*store, "EXE-3", &blocks("2001:db8::1", "EXE-3", 30)).await;
    let expiries = async |now: Timestamp| {
        let mut listed: Vec<_> = store
            .blocklist(now)
            .await
            .unwrap()
            .into_iter()
            .map(|entry| (entry.ip, entry.expires_at))
            .collect();
        listed.sort();
        listed
    };
    let (v4, v6) = ("203.0.113.7".to_owned(), "2001:db8::1".to_owned());
    assert_eq!(expiries(noon()).await, [(v6, at(30)), (v4.clone(), at(60))]);
    assert_eq!(expiries(at(31)).await, [(v4.clone(), at(60))]);
    step(&*store, "EXE-4", &blocks("203.0.113.7", "EXE-4", 90)).await;
    assert_eq!(expiries(at(61)).await, [(v4, at(90))]);
    assert_eq!(store.totals(at(61)).await.unwrap().blocked, 1);
    assert_eq!(
        (
            expiries(at(91)).await.len(),
            store.totals(at(91)).await.unwrap().blocked
        ),
        (0, 0)
    );
}

/// Each filter lets through what it names; pages hold each execution once, newest first.
pub async fn executions_are_filtered_and_paged(store: Arc<dyn Store>, _prefix: &str) {
    for at in 0..7u64 {
        let mut execution = execution(&format!("EXE-{at}"));
        execution.started_at = noon().plus(Duration::from_secs(at));
        execution.threat_id = format!("THR-{}", at % 2);
        if at == 5 {
            (execution.status, execution.playbook_id) = (ExecutionStatus::Completed, "pb-other".to_owned());
        }
        store.create_execution(&execution, noon()).await.unwrap();
    }
    let all = || ExecutionQuery {
        limit: 100,
        ..ExecutionQuery::default()
    };
    let found = async |query: ExecutionQuery| {
        let page = store.executions(&query).await.unwrap();
        (
            page.items
                .into_iter()
                .map(|execution| execution.execution_id)
                .collect::<Vec<_>>(),
            page.next_cursor,
        )
    };
    let (of_threat, _) = found(ExecutionQuery {
        threat_id: Some("THR-1".to_owned()),
        ..all()
    })
    .await;
    assert_eq!(of_threat, ["EXE-5", "EXE-3", "EXE-1"]);
    let completed = ExecutionQuery {
        status: Some(ExecutionStatus::Completed),
        ..all()
    };
    assert_eq!(found(completed).await.0, ["EXE-5"]);
    let other = ExecutionQuery {
        playbook_id: Some("pb-other".to_owned()),
        ..all()
    };
    assert_eq!(found(other).await.0, ["EXE-5"]);
    let (first, cursor) = found(ExecutionQuery { limit: 4, ..all() }).await;
    let (rest, end) = found(ExecutionQuery {
        limit: 4,
        cursor,
        ..all()
    })
    .await;
    assert_eq!(
        [first, rest].concat(),
        ["EXE-6", "EXE-5", "EXE-4", "EXE-3", "EXE-2", "EXE-1", "EXE-0"]
    );
    assert_eq!(end, None);
    let refused = store
        .executions(&ExecutionQuery {
            cursor: Some("x".to_owned()),
            ..all()
        })
        .await;
    assert!(matches!(refused, Err(BackendError::Rejected { .. })), "{refused:?}");
}

/// A run that was stopped and replaced cannot write over the next one.
pub async fn a_simulation_is_not_overwritten_by_an_older_one(store: Arc<dyn Store>, _prefix: &str) {
    assert_eq!(store.simulation().await.unwrap(), None);
    let start = store.head().await.unwrap();
    let run = |id: &str, events| SimulationState {
        status: SimulationStatus::Running,
        simulation_id: Some(id.to_owned()),
        events_generated: events,
        ..SimulationState::idle()
    };
    assert!(
        !store
            .save_simulation(&run("SIM-1", 0), Some("SIM-1"), true, noon())
            .await
            .unwrap()
    );
    assert!(
        store
            .save_simulation(&run("SIM-1", 0), None, true, noon())
            .await
            .unwrap()
    );
    assert!(
        store
            .save_simulation(&run("SIM-1", 5), Some("SIM-1"), false, noon())
            .await
            .unwrap()
    );
    assert!(
        store
            .save_simulation(&run("SIM-2", 0), None, true, noon())
            .await
            .unwrap()
    );
    assert!(
        !store
            .save_simulation(&run("SIM-1", 9), Some("SIM-1"), true, noon())
            .await
            .unwrap()
    );
    assert_eq!(store.simulation().await.unwrap(), Some(run("SIM-2", 0)));
    let told = told_after(&*store, &start).await;
    assert_eq!(told.len(), 2);
    assert!(
        told.iter()
            .all(|record| record.frames[0].kind == FrameKind::SimulationUpdate)
    );
}

/// Of several who make the same setting at once, all get the one that is kept.
pub async fn of_two_settings_at_once_one_is_kept(store: Arc<dyn Store>, _prefix: &str) {
    let mut callers = JoinSet::new();
    for caller in 0..8u8 {
        let store = Arc::clone(&store);
        callers.spawn(async move { store.keep("key", Bytes::from(vec![caller; 32])).await.unwrap() });
    }
    let got = callers.join_all().await;
    assert_eq!(got[0].len(), 32);
    assert!(got.iter().all(|value| *value == got[0]), "{got:?}");
    assert_eq!(store.keep("key", Bytes::new()).await.unwrap(), got[0]);
    assert_eq!(store.keep("other", Bytes::from_static(b"x")).await.unwrap(), "x");
}

/// What partitions counted in the same minute adds up; minutes come in order, within the bounds.
pub async fn minutes_add_up(store: Arc<dyn Store>, prefix: &str) {
    for number in 0..3 {
        let id = partition(prefix, number);
        let held = take(&*store, &id, "one").await;
        let mut batch = commit(&id, &held, "b", 1);
        batch.minutes = vec![minute(12, 1), minute(10 + i64::from(number), 10)];
        store.commit(batch).await.unwrap();
    }
    let mut twelve = minute(12, 1);
    for more in [minute(12, 1), minute(12, 1), minute(12, 10)] {
        twelve.add(&more);
    }
    let expected = [minute(10, 10), minute(11, 10), twelve.clone()];
    assert_eq!(store.minutes(0, 100).await.unwrap(), expected);
    assert_eq!(store.minutes(10, 12).await.unwrap(), expected);
    assert_eq!(store.minutes(12, 12).await.unwrap(), [twelve]);
    assert_eq!(store.minutes(13, 12).await.unwrap(), []);
}

/// The sums since the beginning.
pub async fn totals_add_up(store: Arc<dyn Store>, prefix: &str) {
    assert_eq!(store.totals(noon()).await.unwrap(), Totals::default());
    for batch in 0..3 {
        let mut critical = threat(&format!("THR-c{batch}"));
        critical.severity = threatstream_domain::Severity::Critical;
        let threats = vec![new_threat(threat(&format!("THR-{batch}"))), new_threat(critical)];
        let alerts = vec![alert_write(alert(&format!("ALT-{}", batch / 2)), 0)];
        committed(&*store, prefix, &format!("b{batch}"), |commit| {
            (commit.threats, commit.alerts) = (threats, alerts);
        })
        .await;
    }
    let totals = store.totals(noon()).await.unwrap();
    assert_eq!(
        (totals.threats_detected, totals.critical, totals.alerts_generated),
        (6, 3, 2)
    );
}

/// The check succeeds on what works.
pub async fn it_is_reachable(store: Arc<dyn Store>, _prefix: &str) {
    store.check().await.unwrap();
}
