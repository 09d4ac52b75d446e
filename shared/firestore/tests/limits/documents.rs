//! Documents and ids of any size and content.

use std::collections::HashSet;

use threatstream_backend::conformance::samples::{alert, alert_write, new_threat, original, threat};
use threatstream_backend::{AlertQuery, Alerts, NewThreat, Responses, ThreatQuery, Threats};
use threatstream_domain::AlertCase;

use crate::{committed, support};

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
