//! Stored threats.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use threatstream_domain::{FrameKind, Severity, Threat, ThreatType};

use super::{committed, told_after};
use crate::conformance::samples::{frame, new_threat, noon, original, threat, triaged};
use crate::{BackendError, Store, ThreatChange, ThreatQuery};

fn all() -> ThreatQuery {
    ThreatQuery {
        limit: 100,
        ..ThreatQuery::default()
    }
}

async fn store_all(store: &dyn Store, prefix: &str, threats: impl IntoIterator<Item = Threat>) {
    let threats = threats.into_iter().map(new_threat).collect();
    committed(store, prefix, "threats", |commit| commit.threats = threats).await;
}

async fn ids(store: &dyn Store, query: &ThreatQuery) -> Vec<String> {
    let page = store.threats(query).await.unwrap();
    page.items.into_iter().map(|threat| threat.id).collect()
}

/// Every field is kept; what is not there is `None`.
pub async fn a_threat_comes_back_as_given(store: Arc<dyn Store>, prefix: &str) {
    let given = threat("THR-1");
    store_all(&*store, prefix, [given.clone()]).await;
    assert_eq!(store.threat("THR-1").await.unwrap(), Some(given.clone()));
    assert_eq!(store.threats(&all()).await.unwrap().items, [given]);
    assert_eq!(store.threat("THR-2").await.unwrap(), None);
}

/// The first threat of an id stays, and counts once.
pub async fn a_threat_that_is_there_is_left_alone(store: Arc<dyn Store>, prefix: &str) {
    let mut other = threat("THR-1");
    other.description = "another".to_owned();
    other.severity = Severity::Low;
    store_all(&*store, prefix, [threat("THR-1")]).await;
    committed(&*store, prefix, "again", |commit| {
        commit.threats = vec![new_threat(other)];
    })
    .await;
    assert_eq!(store.threat("THR-1").await.unwrap(), Some(threat("THR-1")));
    assert_eq!(store.threat_stats().await.unwrap().total_threats, 1);
    assert_eq!(store.totals(noon()).await.unwrap().threats_detected, 1);
}

/// Each filter alone lets through what it names, and filters add up.
pub async fn every_filter_filters(store: Arc<dyn Store>, prefix: &str) {
    let plain = threat("THR-plain");
    let mut critical = threat("THR-critical");
    critical.severity = Severity::Critical;
    let mut scan = threat("THR-scan");
    (scan.threat_type, scan.mitre_attack_id) = (ThreatType::PortScan, Some("T1046".to_owned()));
    let mut elsewhere = threat("THR-elsewhere");
    (elsewhere.source_ip, elsewhere.mitre_attack_id) = (Some("198.51.100.9".to_owned()), Some("T1110.001".to_owned()));
    let mut drill = threat("THR-drill");
    (drill.simulated, drill.source_ip, drill.mitre_attack_id) = (true, None, Some("T11100".to_owned()));
    let mut later = threat("THR-later");
    later.analyzed_at = noon().plus(Duration::from_secs(60));
    store_all(&*store, prefix, [plain, critical, scan, elsewhere, drill, later]).await;

    let minute = noon().plus(Duration::from_secs(60));
    let cases: [(ThreatQuery, &[&str]); 9] = [
        (
            ThreatQuery {
                severity: Some(Severity::Critical),
                ..all()
            },
            &["critical"],
        ),
        (
            ThreatQuery {
                threat_type: Some(ThreatType::PortScan),
                ..all()
            },
            &["scan"],
        ),
        (
            ThreatQuery {
                source_ip: Some("198.51.100.9".to_owned()),
                ..all()
            },
            &["elsewhere"],
        ),
        (
            ThreatQuery {
                technique: Some("T1110".to_owned()),
                ..all()
            },
            &["critical", "elsewhere", "later", "plain"],
        ),
        (
            ThreatQuery {
                since: Some(minute),
                ..all()
            },
            &["later"],
        ),
        (
            ThreatQuery {
                until: Some(minute),
                ..all()
            },
            &["critical", "drill", "elsewhere", "plain", "scan"],
        ),
        (
            ThreatQuery {
                simulated: Some(true),
                ..all()
            },
            &["drill"],
        ),
        (
            ThreatQuery {
                simulated: Some(false),
                since: Some(noon()),
                until: Some(minute),
                text: Some("PLAIN".to_owned()),
                ..all()
            },
            &["plain"],
        ),
        (
            ThreatQuery {
                severity: Some(Severity::Info),
                ..all()
            },
            &[],
        ),
    ];
    for (query, expected) in cases {
        let mut found = ids(&*store, &query).await;
        found.sort();
        let expected: Vec<String> = expected.iter().map(|id| format!("THR-{id}")).collect();
        assert_eq!(found, expected, "{query:?}");
    }
}

/// A search finds text in each searched field, in any case, and takes no character for a wildcard.
pub async fn text_is_searched_as_text(store: Arc<dyn Store>, prefix: &str) {
    let mut odd = threat("THR-odd");
    odd.description = "Took 100% of a_b\\c at Köln'; --".to_owned();
    odd.source_ip = Some("2001:db8::1".to_owned());
    odd.destination_ip = Some("192.0.2.77".to_owned());
    odd.user = Some("Administrator".to_owned());
    odd.host = Some("DC-01".to_owned());
    store_all(&*store, prefix, [odd, threat("THR-plain")]).await;
    let search = |text: &str| ThreatQuery {
        text: Some(text.to_owned()),
        ..all()
    };
    for text in [
        "100%",
        "A_B\\C",
        "KÖLN",
        "'; --",
        "2001:DB8",
        "0.2.77",
        "administrator",
        "dc-01",
        "thr-ODD",
    ] {
        assert_eq!(ids(&*store, &search(text)).await, ["THR-odd"], "{text}");
    }
    for text in ["100_", "%", "a%c", "100%%", "Administrator\u{0}", "*"] {
        let found = ids(&*store, &search(text)).await;
        assert!(text == "%" || found.is_empty(), "{text} found {found:?}");
    }
    assert_eq!(ids(&*store, &search("%")).await, ["THR-odd"]);
}

/// Pages hold each threat once, newest first, also where many were analysed at one moment.
pub async fn pages_follow_one_another(store: Arc<dyn Store>, prefix: &str) {
    let threats = (0..25u64).map(|at| {
        let mut threat = threat(&format!("THR-{at}"));
        threat.analyzed_at = noon().plus(Duration::from_secs(at / 10));
        threat
    });
    store_all(&*store, prefix, threats).await;
    let mut query = ThreatQuery { limit: 4, ..all() };
    let mut seen = Vec::new();
    loop {
        let page = store.threats(&query).await.unwrap();
        assert!(page.items.len() == 4 || page.next_cursor.is_none());
        seen.extend(page.items.into_iter().map(|threat| (threat.analyzed_at, threat.id)));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
        assert!(seen.len() <= 25, "the pages have no end");
    }
    assert_eq!(seen.iter().map(|(_, id)| id).collect::<HashSet<_>>().len(), 25);
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted_by(|(a, _), (b, _)| a >= b), "{seen:?}");
}

/// A cursor that the store did not give is refused, not guessed at.
pub async fn a_foreign_cursor_is_refused(store: Arc<dyn Store>, prefix: &str) {
    store_all(&*store, prefix, [threat("THR-1")]).await;
    for cursor in ["", "x", "' OR 1=1", "99999999999999999999999999"] {
        let query = ThreatQuery {
            cursor: Some(cursor.to_owned()),
            ..all()
        };
        let refused = store.threats(&query).await;
        assert!(
            matches!(refused, Err(BackendError::Rejected { .. })),
            "{cursor}: {refused:?}"
        );
    }
}

/// The counts have every severity, and the types there are.
pub async fn stats_count_what_is_stored(store: Arc<dyn Store>, prefix: &str) {
    let empty = store.threat_stats().await.unwrap();
    assert_eq!(
        (empty.total_threats, empty.severity_distribution.len()),
        (0, Severity::ALL.len())
    );
    let mut scan = threat("THR-3");
    (scan.threat_type, scan.severity) = (ThreatType::PortScan, Severity::Critical);
    store_all(&*store, prefix, [threat("THR-1"), threat("THR-2"), scan]).await;
    let stats = store.threat_stats().await.unwrap();
    assert_eq!(stats.total_threats, 3);
    assert_eq!(stats.severity_distribution.values().sum::<u64>(), 3);
    assert_eq!(
        (
            stats.severity_distribution["HIGH"],
            stats.severity_distribution["CRITICAL"]
        ),
        (2, 1)
    );
    assert_eq!(
        (
            stats.type_distribution["BRUTE_FORCE"],
            stats.type_distribution["PORT_SCAN"]
        ),
        (2, 1)
    );
}

/// Originals keep their order; a threat without any has an empty list, no threat has none.
pub async fn originals_come_with_their_threat(store: Arc<dyn Store>, prefix: &str) {
    let mut with = new_threat(threat("THR-1"));
    with.originals = (0..20).map(|at| original(&format!("event-{at}"))).collect();
    let mut without = new_threat(threat("THR-2"));
    without.originals.clear();
    let originals = with.originals.clone();
    committed(&*store, prefix, "b", |commit| commit.threats = vec![with, without]).await;
    assert_eq!(store.originals("THR-1").await.unwrap(), Some(originals));
    assert_eq!(store.originals("THR-2").await.unwrap(), Some(Vec::new()));
    assert_eq!(store.originals("THR-3").await.unwrap(), None);
}

/// An event leads to all threats it completed.
pub async fn threats_are_found_by_their_event(store: Arc<dyn Store>, prefix: &str) {
    let threats = ["THR-1", "THR-2", "THR-3"].map(|id| {
        let mut threat = threat(id);
        threat.event_id = if id == "THR-3" { "other" } else { "one" }.to_owned();
        threat
    });
    store_all(&*store, prefix, threats).await;
    let found = store.threats_of_event("one").await.unwrap();
    let found: HashSet<&str> = found.iter().map(|threat| threat.id.as_str()).collect();
    assert_eq!(found, HashSet::from(["THR-1", "THR-2"]));
    assert!(store.threats_of_event("none").await.unwrap().is_empty());
}

/// A change is kept, counted and told; the same change again is none.
pub async fn a_change_is_made_and_told_once(store: Arc<dyn Store>, prefix: &str) {
    committed(&*store, prefix, "b", |commit| {
        commit.threats = vec![new_threat(threat("THR-1"))];
        commit.frames = vec![frame(1)];
    })
    .await;
    for change in [ThreatChange::AutoBlocked(true), triaged()] {
        let before = store.head().await.unwrap();
        let changed = store
            .change_threat("THR-1", change.clone(), noon())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(store.threat("THR-1").await.unwrap().as_ref(), Some(&changed));
        let told = told_after(&*store, &before).await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].frames[0].kind, FrameKind::ThreatUpdate);
        let shown: Threat = serde_json::from_str(told[0].frames[0].data.get()).unwrap();
        assert_eq!(shown, changed);
        let head = store.head().await.unwrap();
        assert_eq!(
            store.change_threat("THR-1", change, noon()).await.unwrap(),
            Some(changed)
        );
        assert_eq!(store.head().await.unwrap(), head, "told twice");
    }
    let now = store.threat("THR-1").await.unwrap().unwrap();
    assert!(now.auto_blocked && now.severity == Severity::Critical && now.triage.is_some());
    let stats = store.threat_stats().await.unwrap();
    assert_eq!(
        (
            stats.severity_distribution["HIGH"],
            stats.severity_distribution["CRITICAL"]
        ),
        (0, 1)
    );
    let query = ThreatQuery {
        severity: Some(Severity::Critical),
        ..all()
    };
    assert_eq!(ids(&*store, &query).await, ["THR-1"]);
    assert_eq!(
        store
            .change_threat("THR-2", ThreatChange::AutoBlocked(true), noon())
            .await
            .unwrap(),
        None
    );
}
