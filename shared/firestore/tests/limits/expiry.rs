//! What has expired, and what was read before.

use std::sync::Arc;
use std::time::Duration;

use threatstream_backend::conformance::samples::{alert, alert_write, execution, minute, new_threat, noon, threat};
use threatstream_backend::{
    AlertQuery, Alerts, Analytics, ExecutionQuery, Responses, ThreatChange, ThreatQuery, Threats,
};
use threatstream_domain::Clock;
use threatstream_firestore::{FirestoreOptions, FirestoreStore};

use crate::{committed, support};

const DAY: Duration = Duration::from_secs(86_400);

fn store_with_clock() -> Option<(Arc<FirestoreStore>, Clock)> {
    let host = support::emulator()?;
    let options: FirestoreOptions = support::options(&host);
    let clock = options.clock.clone();
    Some((Arc::new(FirestoreStore::open(options)), clock))
}

/// The emulator deletes nothing by itself, as production does not for a day: what has expired must not be seen all the same.
#[tokio::test]
async fn what_has_expired_is_not_seen_though_it_is_there() {
    let Some((store, clock)) = store_with_clock() else {
        return;
    };
    committed(&store, "b", |commit| {
        commit.threats = vec![new_threat(threat("THR-1"))];
        commit.alerts = vec![alert_write(alert("ALT-1"), 0)];
        commit.minutes = vec![minute(noon().minute(), 1), minute(5, 1)];
    })
    .await;
    store.create_execution(&execution("EXE-1"), noon()).await.unwrap();
    let all = ThreatQuery {
        limit: 10,
        ..ThreatQuery::default()
    };
    let of_alerts = AlertQuery {
        limit: 10,
        ..AlertQuery::default()
    };
    let of_executions = ExecutionQuery {
        limit: 10,
        ..ExecutionQuery::default()
    };
    let seen = async || {
        let one = |there: bool| usize::from(there);
        [
            store.threats(&all).await.unwrap().items.len(),
            one(store.threat("THR-1").await.unwrap().is_some()),
            one(store.originals("THR-1").await.unwrap().is_some()),
            store.threats_of_event("event-of-THR-1").await.unwrap().len(),
            store.alerts(&of_alerts).await.unwrap().items.len(),
            one(store.alert("ALT-1").await.unwrap().is_some()),
            store.executions(&of_executions).await.unwrap().items.len(),
            one(store.execution("EXE-1").await.unwrap().is_some()),
            store.minutes(5, 5).await.unwrap().len(),
        ]
    };
    assert_eq!(seen().await, [1; 9]);
    clock.advance(DAY * 90 - Duration::from_secs(1));
    assert_eq!(seen().await, [1; 9]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(seen().await, [0, 0, 0, 0, 1, 1, 0, 0, 0], "alerts stay longer");
    let blocked = ThreatChange::AutoBlocked(true);
    assert_eq!(store.change_threat("THR-1", blocked, noon()).await.unwrap(), None);
    clock.advance(DAY * 275);
    assert_eq!(seen().await, [0; 9]);
}

/// Dashboards ask for the same hour again and again, and get it from what was read before: nothing new is missed.
#[tokio::test]
async fn minutes_asked_for_again_miss_nothing() {
    let Some(host) = support::emulator() else { return };
    let options = support::options(&host);
    let clock = options.clock.clone();
    let store = FirestoreStore::open(options.clone());
    let now = noon().minute();
    let count = async |batch: &str, minutes: Vec<i64>| {
        committed(&store, batch, |commit| {
            commit.minutes = minutes.into_iter().map(|at| minute(at, 1)).collect();
        })
        .await;
    };
    count("b1", (now - 100..=now).collect()).await;
    let processed = async || {
        let minutes = store.minutes(now - 60, now + 60).await.unwrap();
        minutes.iter().map(|minute| minute.processed).sum::<u64>()
    };
    assert_eq!(processed().await, 61);
    count("b2", vec![now - 60, now]).await;
    assert_eq!(processed().await, 63);
    clock.advance(Duration::from_secs(60));
    count("b3", vec![now + 1]).await;
    assert_eq!(processed().await, 64);
    assert_eq!(
        store.minutes(now - 100, now).await.unwrap().len(),
        101,
        "an earlier hour"
    );

    // Another process, which has seen nothing yet, agrees.
    let fresh = FirestoreStore::open(options);
    assert_eq!(
        fresh.minutes(now - 60, now + 60).await.unwrap(),
        store.minutes(now - 60, now + 60).await.unwrap()
    );
}
