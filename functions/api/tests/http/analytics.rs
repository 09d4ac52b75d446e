//! `/api/analytics`, and tickets.

use serde_json::json;
use threatstream_runtime::Role;

use crate::world::{World, now};

#[tokio::test]
async fn nothing_measured_is_nothing_shown() {
    let world = World::new();
    let summary = world.get("/api/analytics/summary").await.json();
    insta::assert_json_snapshot!(summary["dashboard_stats"], @r#"
    {
      "alerts_generated": 0,
      "avg_detect_time": null,
      "blocked": 0,
      "critical": 0,
      "latency_history": [],
      "processed": 0,
      "threats_detected": 0
    }
    "#);
    insta::assert_json_snapshot!(summary["risk_index"], @r#"
    {
      "last_updated": "2026-11-22T09:00:00.000Z",
      "level": "NORMAL",
      "trend": "STABLE",
      "value": 0
    }
    "#);
    assert_eq!(summary["risk_timeline"].as_array().unwrap().len(), 60);
    assert_eq!(
        world.get("/api/analytics/dashboard").await.json(),
        summary["dashboard_stats"]
    );
    assert_eq!(
        world.get("/api/analytics/risk-index").await.json(),
        summary["risk_index"]
    );
    assert_eq!(
        world.get("/api/analytics/timeline").await.json()["timeline"],
        summary["risk_timeline"]
    );
    assert_eq!(
        world.get("/api/threats/stats/summary").await.json(),
        summary["threat_stats"]
    );
}

#[tokio::test]
async fn the_ledger_counts_what_was_handed_in() {
    let world = World::new();
    world.post("/api/events", "text/plain", "a\nb\nc").await;
    let ledger = world.get("/api/analytics/ledger").await.json();
    assert_eq!(
        (ledger["pending"].clone(), ledger["match"]["ingested"].clone()),
        (json!(3), json!(0))
    );
    let raw = world.backends.topics.raw.clone();
    for (partition, marks) in (0..).zip(world.backends.log.watermarks(&raw).await.unwrap()) {
        world
            .commit(&raw, partition, marks.high, Vec::new(), Vec::new(), 0)
            .await;
    }
    let ledger = world.get("/api/analytics/ledger").await.json();
    assert_eq!(ledger["pending"], 0);
    assert_eq!(
        ledger["match"],
        json!({"ingested": 3, "clean": 3, "matched": 0, "duplicate": 0, "dead_lettered": 0, "lost": 0})
    );
}

#[tokio::test]
async fn a_ticket_is_the_callers() {
    let world = World::new();
    let ticket = world.post("/api/ws-ticket", "application/json", "").await.json();
    assert_eq!(ticket["expires_in"], 60);
    let principal = world
        .tickets
        .verify(ticket["ticket"].as_str().unwrap(), now().as_millis())
        .unwrap();
    assert_eq!((&*principal.name, principal.role), ("local", Role::Admin));
}
