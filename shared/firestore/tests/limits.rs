//! What the database limits, and what it leaves to its clients: large documents, late deletion, lists over shards.

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use threatstream_backend::conformance::samples::{
    alert, alert_write, block, commit, execution, minute, new_threat, noon, original, threat,
};
use threatstream_backend::{
    AlertQuery, Alerts, Analytics, Checkpoint, Commit, Effect, ExecutionQuery, Leases, NewThreat, PartitionId,
    Responses, ThreatChange, ThreatQuery, Threats,
};
use threatstream_domain::{AlertCase, Clock, Severity, Triage};
use threatstream_firestore::{FirestoreOptions, FirestoreStore};

const DAY: Duration = Duration::from_secs(86_400);

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

fn store_with_clock() -> Option<(Arc<FirestoreStore>, Clock)> {
    let host = support::emulator()?;
    let options: FirestoreOptions = support::options(&host);
    let clock = options.clock.clone();
    Some((Arc::new(FirestoreStore::open(options)), clock))
}

/// Text that neither JSON nor lz4 makes shorter, and that JSON makes six times as long.
fn hostile(bytes: usize, mut seed: u64) -> String {
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(u8::try_from(seed >> 59).unwrap())
    };
    (0..bytes).map(|_| next()).collect()
}

#[tokio::test]
async fn a_threat_larger_than_a_document_is_stored_and_its_originals_are_cut() {
    let Some(store) = support::fresh_store() else { return };
    let mut huge = threat("THR-huge");
    huge.description = hostile(2 << 20, 1);
    let originals = (0..20u64).map(|at| {
        let mut large = original(&format!("event-{at}"));
        large.raw = hostile(256 * 1024, at);
        large
    });
    let huge = NewThreat {
        originals: originals.collect(),
        threat: huge,
    };
    let given = huge.originals.clone();
    committed(&store, "b", |commit| {
        commit.threats = vec![huge, new_threat(threat("THR-usual"))];
    })
    .await;

    let stored = store.threat("THR-huge").await.unwrap().unwrap();
    assert!((1..2 << 20).contains(&stored.description.len()));
    let kept = store.originals("THR-huge").await.unwrap().unwrap();
    assert_eq!(kept.len(), 20);
    for (kept, given) in kept.iter().zip(&given) {
        assert!(kept.truncated && kept.raw.len() >= 1024 && given.raw.starts_with(&kept.raw));
    }
    assert_eq!(store.threat("THR-usual").await.unwrap(), Some(threat("THR-usual")));
}

#[tokio::test]
async fn an_alert_larger_than_a_document_is_stored() {
    let Some(store) = support::fresh_store() else { return };
    let mut huge = alert("ALT-1");
    huge.description = hostile(1 << 20, 1);
    huge.affected_systems = (0..2_000).map(|at| hostile(1024, at)).collect();
    committed(&store, "b", |commit| commit.alerts = vec![alert_write(huge, 0)]).await;
    let stored = store.alert("ALT-1").await.unwrap().unwrap();
    assert!(!stored.group.affected_systems.is_empty());
    assert_eq!(stored.case, AlertCase::default());
}

#[tokio::test]
async fn ids_that_mean_something_to_the_database_are_just_ids() {
    let Some(store) = support::fresh_store() else { return };
    let odd = ["a/b", "..", "__x__", "%2f", "a b", "é", "THR-1/threats/THR-2"];
    committed(&store, "b", |commit| {
        commit.threats = odd.iter().map(|id| new_threat(threat(id))).collect();
    })
    .await;
    for id in odd {
        assert_eq!(store.threat(id).await.unwrap().unwrap().id, id);
        assert_eq!(store.originals(id).await.unwrap().unwrap().len(), 1);
    }
    for id in ["", ".", "a", "a/", "threats", "%", &"x".repeat(100_000)] {
        assert_eq!(store.threat(id).await.unwrap(), None, "{id:.20}");
        assert_eq!(store.alert(id).await.unwrap(), None, "{id:.20}");
        assert_eq!(store.execution(id).await.unwrap(), None, "{id:.20}");
    }
    let mut query = ThreatQuery {
        limit: 2,
        ..ThreatQuery::default()
    };
    let mut seen = HashSet::new();
    loop {
        let page = store.threats(&query).await.unwrap();
        seen.extend(page.items.into_iter().map(|threat| threat.id));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, odd.map(str::to_owned).into());
}

/// What is asked for may be as long as a request: longer than an index holds, it is in no document.
#[tokio::test]
async fn filters_of_any_length_find_what_is_there() {
    let Some(store) = support::fresh_store() else { return };
    committed(&store, "b", |commit| commit.threats = vec![new_threat(threat("THR-1"))]).await;
    for long in ["x".repeat(1_501), "\u{0}\u{ffff}'".repeat(100_000)] {
        let query = ThreatQuery {
            source_ip: Some(long.clone()),
            technique: Some(long.clone()),
            limit: 10,
            ..ThreatQuery::default()
        };
        assert!(store.threats(&query).await.unwrap().items.is_empty());
        let query = ThreatQuery {
            text: Some(long.clone()),
            limit: 10,
            ..ThreatQuery::default()
        };
        assert!(store.threats(&query).await.unwrap().items.is_empty());
        let query = AlertQuery {
            assignee: Some(long.clone()),
            limit: 10,
            ..AlertQuery::default()
        };
        assert!(store.alerts(&query).await.unwrap().items.is_empty());
        assert!(store.threats_of_event(&long).await.unwrap().is_empty());
    }
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

#[tokio::test]
async fn pages_over_all_shards_keep_the_order_of_time() {
    let Some(store) = support::fresh_store() else { return };
    committed(&store, "b", |commit| {
        commit.threats = (0..120u64)
            .map(|at| {
                let mut threat = threat(&format!("THR-{at:020x}"));
                threat.analyzed_at = noon().plus(Duration::from_secs(at / 3));
                threat.severity = if at % 2 == 0 { Severity::Critical } else { Severity::Low };
                new_threat(threat)
            })
            .collect();
    })
    .await;
    for (severity, expected) in [(None, 120), (Some(Severity::Critical), 60)] {
        let mut query = ThreatQuery {
            severity,
            limit: 7,
            ..ThreatQuery::default()
        };
        let mut seen: Vec<(i64, String)> = Vec::new();
        loop {
            let page = store.threats(&query).await.unwrap();
            let places = page
                .items
                .into_iter()
                .map(|threat| (threat.analyzed_at.as_micros(), threat.id));
            seen.extend(places);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
            assert!(seen.len() <= 120);
        }
        assert_eq!(seen.len(), expected);
        assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    }
}

/// A text that is in few threats is searched a stretch at a time: each page says where to go on, and nothing is missed.
#[tokio::test]
async fn a_search_goes_on_where_it_stopped() {
    let Some(store) = support::fresh_store() else { return };
    for batch in 0..8u64 {
        committed(&store, &format!("b{batch}"), |commit| {
            commit.threats = (0..150)
                .map(|at| {
                    let mut threat = threat(&format!("THR-{batch}-{at}"));
                    threat.analyzed_at = noon().minus(Duration::from_secs(batch * 150 + at));
                    if at == 149 {
                        threat.description = "a Needle".to_owned();
                    }
                    let mut new = new_threat(threat);
                    new.originals.clear();
                    new
                })
                .collect();
        })
        .await;
    }
    let mut query = ThreatQuery {
        text: Some("needle".to_owned()),
        limit: 50,
        ..ThreatQuery::default()
    };
    let mut found = Vec::new();
    let mut pages = 0;
    loop {
        let before = store.usage().reads;
        let page = store.threats(&query).await.unwrap();
        assert!(store.usage().reads - before <= 1_000, "a page read without bounds");
        found.extend(page.items.into_iter().map(|threat| threat.id));
        pages += 1;
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
        assert!(pages < 10);
    }
    assert_eq!(
        found,
        (0..8).map(|batch| format!("THR-{batch}-149")).collect::<Vec<_>>()
    );
    assert!(pages > 1, "everything was read at once");
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
        for change in [
            ThreatChange::AutoBlocked(true),
            ThreatChange::Triaged {
                severity: Severity::Critical,
                triage: Triage {
                    verdict: "malicious".to_owned(),
                    model: "model".to_owned(),
                    prompt_version: "1".to_owned(),
                    prompt_tokens: 10,
                    output_tokens: 5,
                    cost_usd: 0.001,
                    latency_ms: 400,
                    claims: Vec::new(),
                },
            },
        ] {
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
