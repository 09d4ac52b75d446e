//! Changes of one document by many at once.

use std::sync::Arc;
use std::time::Duration;

use threatstream_backend::conformance::samples::{block, execution, new_threat, noon, threat, triaged};
use threatstream_backend::{Analytics, Effect, Responses, ThreatChange, Threats};
use threatstream_domain::Severity;

use crate::{committed, support};

#[tokio::test]
async fn the_blocklist_is_counted_without_being_read() {
    let Some(store) = support::fresh_store() else { return };
    for at in 0..40u64 {
        let mut execution = execution(&format!("EXE-{at}"));
        store.create_execution(&execution, noon()).await.unwrap();
        for ip in [format!("192.0.2.{at}"), "198.51.100.1".to_owned()] {
            let effects = [Effect::Block(block(&ip, &format!("EXE-{at}"), 60 + at))];
            execution = store
                .save_execution(&execution, &effects, noon())
                .await
                .unwrap()
                .unwrap();
        }
    }
    assert_eq!(store.blocklist(noon()).await.unwrap().len(), 41);
    let before = store.usage().reads;
    assert_eq!(store.totals(noon()).await.unwrap().blocked, 41);
    assert!(store.usage().reads - before < 10);
}

/// Executions that block one address at the same moment collide in its document, and all are kept.
#[tokio::test]
async fn blocks_of_one_address_at_once_are_all_kept() {
    let Some(store) = support::fresh_store() else { return };
    let mut steps = tokio::task::JoinSet::new();
    for at in 0..6u64 {
        let store = Arc::clone(&store);
        steps.spawn(async move {
            let execution = execution(&format!("EXE-{at}"));
            store.create_execution(&execution, noon()).await.unwrap();
            let effects = [Effect::Block(block("192.0.2.1", &execution.execution_id, 60 + at))];
            store
                .save_execution(&execution, &effects, noon())
                .await
                .unwrap()
                .unwrap();
        });
    }
    while let Some(step) = steps.join_next().await {
        step.unwrap();
    }
    for at in (0..6u64).rev() {
        let listed = store.blocklist(noon()).await.unwrap();
        assert_eq!(
            (listed.len(), listed[0].expires_at),
            (1, noon().plus(Duration::from_secs(60 + at)))
        );
        let execution = store.execution(&format!("EXE-{at}")).await.unwrap().unwrap();
        let lift = [Effect::Unblock {
            ip: "192.0.2.1".to_owned(),
            execution_id: execution.execution_id.clone(),
        }];
        store.save_execution(&execution, &lift, noon()).await.unwrap().unwrap();
    }
    assert!(store.blocklist(noon()).await.unwrap().is_empty());
}

/// Triage by many at once loses nobody's change, and the counts follow.
#[tokio::test]
async fn changes_at_once_are_all_made_and_counted() {
    let Some(store) = support::fresh_store() else { return };
    committed(&store, "b", |commit| {
        commit.threats = (0..6).map(|at| new_threat(threat(&format!("THR-{at}")))).collect();
    })
    .await;
    let mut changes = tokio::task::JoinSet::new();
    for at in 0..6 {
        for change in [ThreatChange::AutoBlocked(true), triaged()] {
            let store = Arc::clone(&store);
            changes.spawn(async move {
                store
                    .change_threat(&format!("THR-{at}"), change, noon())
                    .await
                    .unwrap()
                    .unwrap()
            });
        }
    }
    while let Some(changed) = changes.join_next().await {
        changed.unwrap();
    }
    for at in 0..6 {
        let threat = store.threat(&format!("THR-{at}")).await.unwrap().unwrap();
        assert!(threat.auto_blocked && threat.triage.is_some() && threat.severity == Severity::Critical);
    }
    let stats = store.threat_stats().await.unwrap();
    assert_eq!(
        (
            stats.total_threats,
            stats.severity_distribution["CRITICAL"],
            stats.severity_distribution["HIGH"]
        ),
        (6, 6, 0)
    );
}
