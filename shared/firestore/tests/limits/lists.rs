//! Lists over all shards, page by page.

use std::time::Duration;

use threatstream_backend::conformance::samples::{new_threat, noon, threat};
use threatstream_backend::{ThreatQuery, Threats};
use threatstream_domain::Severity;

use crate::{committed, support};

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
