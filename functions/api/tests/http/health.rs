//! `/api/health` and `/`.

use std::sync::Arc;

use serde_json::json;
use threatstream_api::Config;

use crate::world::{World, good_rules};

#[tokio::test]
async fn every_part_is_probed() {
    let world = World::new();
    let answer = world.get("/api/health").await;
    assert_eq!(answer.status, 200);
    let mut health = answer.json();
    health["version"] = json!("0");
    insta::assert_json_snapshot!(health, @r#"
    {
      "environment": "local",
      "services": {
        "event_log": "up",
        "gemini": "off",
        "rules": "up",
        "store": "up",
        "task_queue": "up"
      },
      "status": "healthy",
      "timestamp": "2026-11-22T09:00:00.000Z",
      "version": "0"
    }
    "#);
}

#[tokio::test]
async fn rules_that_match_nothing_are_down() {
    let world = World::with(
        Config::default(),
        Arc::new(|| Err("the known attack was not matched".to_owned())),
        |options| options,
    );
    let answer = world.get("/api/health").await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["services"]["rules"].clone()),
        (503, json!("down"))
    );
    assert_eq!(answer.json()["status"], "unhealthy");
}

#[tokio::test]
async fn rules_older_than_their_files_degrade() {
    let good = good_rules();
    let stale = move || {
        let mut summary = good()?;
        summary.reload_failure = Some("own.yml: not valid YAML".to_owned());
        Ok(summary)
    };
    let world = World::with(Config::default(), Arc::new(stale), |options| options);
    let answer = world.get("/api/health").await;
    let health = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(
        (&health["services"]["rules"], &health["status"]),
        (&json!("degraded"), &json!("degraded"))
    );
}

#[tokio::test]
async fn a_loss_is_told() {
    let world = World::new();
    world.post("/api/events", "text/plain", "a\nb\nc\nd\ne\nf\ng\nh").await;
    let raw = world.backends.topics.raw.clone();
    let marks = world.backends.log.watermarks(&raw).await.unwrap();
    let (partition, marks) = (0..).zip(marks).find(|(_, marks)| marks.high > 0).unwrap();
    world
        .commit(&raw, partition, marks.high, Vec::new(), Vec::new(), 1)
        .await;
    let answer = world.get("/api/health").await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["status"].clone()),
        (200, json!("degraded"))
    );
    assert_eq!(answer.json()["services"]["event_log"], "degraded");
}

#[tokio::test]
async fn the_root_says_where_things_are_if_it_is_ours() {
    let world = World::new();
    let mut json = world.get("/").await.json();
    json["version"] = json!("0");
    insta::assert_json_snapshot!(json, @r#"
    {
      "description": "Detects attacks in security telemetry as it streams in.",
      "documentation": {
        "openapi": "/openapi.json",
        "redoc": "/redoc",
        "swagger_ui": "/docs"
      },
      "endpoints": {
        "alerts": "/api/alerts/active",
        "events": "/api/events",
        "health": "/api/health",
        "threats": "/api/threats/recent",
        "websocket": "/ws/live"
      },
      "name": "ThreatStream",
      "version": "0"
    }
    "#);
    let config = Config {
        mount_root: false,
        ..Config::default()
    };
    assert_eq!(
        World::with(config, good_rules(), |options| options)
            .get("/")
            .await
            .status,
        404
    );
}
