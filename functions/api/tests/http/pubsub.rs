//! `POST /api/ingest/pubsub`, and the analyzer's wake-up.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use threatstream_api::Config;
use threatstream_backend::{DRAIN_QUEUE, Delivery};
use threatstream_runtime::PushAuth;

use crate::world::{World, good_rules, now};

const PATH: &str = "/api/ingest/pubsub";

fn entry(insert_id: Option<&str>) -> Value {
    let mut entry = json!({
        "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
        "timestamp": "2026-11-22T08:59:00Z",
        "severity": "NOTICE",
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "methodName": "google.iam.admin.v1.CreateServiceAccountKey",
            "serviceName": "iam.googleapis.com",
            "authenticationInfo": {"principalEmail": "ana@example.com"},
            "requestMetadata": {"callerIp": "203.0.113.7"},
        },
    });
    if let Some(id) = insert_id {
        entry["insertId"] = json!(id);
    }
    entry
}

fn push(data: &str) -> String {
    json!({
        "message": {"data": STANDARD.encode(data), "messageId": "2070443601311540", "publishTime": "2026-11-22T08:59:01Z", "attributes": {}},
        "subscription": "projects/p/subscriptions/threatstream-cloud-logging",
    })
    .to_string()
}

async fn woken(world: &World) -> Vec<Delivery> {
    let lease = Duration::from_secs(60);
    let taken = world
        .backends
        .tasks
        .take(DRAIN_QUEUE, 100, lease, now(), Duration::ZERO)
        .await;
    taken.unwrap()
}

#[tokio::test]
async fn a_log_entry_is_one_event_known_by_its_own_id() {
    let world = World::new();
    let (named, nameless) = (entry(Some("abc")).to_string(), entry(None).to_string());
    for data in [&named, &nameless] {
        let answer = world.post(PATH, "application/json", push(data)).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    }
    let mut events = world.events().await;
    events.sort();
    let id = "projects/p/logs/cloudaudit.googleapis.com%2Factivity/2026-11-22T08:59:00Z/abc";
    assert_eq!(
        events,
        [(id.to_owned(), named), ("pubsub-2070443601311540".to_owned(), nameless),]
    );
    // What is delivered again is the same event: the same id and the same content.
    world
        .post(PATH, "application/json", push(&entry(Some("abc")).to_string()))
        .await;
    assert_eq!(world.events().await.iter().filter(|(known, _)| known == id).count(), 2);
}

#[tokio::test]
async fn what_can_never_be_taken_is_kept_and_not_sent_again() {
    let world = World::new();
    let hostile = [
        String::new(),
        "not JSON".to_owned(),
        json!([1]).to_string(),
        json!({"message": {"data": "%%%", "messageId": "1"}}).to_string(),
        json!({"message": {"data": STANDARD.encode("x")}}).to_string(),
        push(""),
        push(" \n "),
        push(&json!({"event_type": "login", "source_ip": "nowhere"}).to_string()),
        push(&"a".repeat(300 * 1024)),
    ];
    for (at, body) in hostile.iter().enumerate() {
        let answer = world.post(PATH, "application/json", body.clone()).await;
        assert_eq!(answer.status, 204, "{at}");
    }
    assert!(world.events().await.is_empty());
    let dead = world.records(&world.backends.topics.dead_letters).await;
    assert_eq!(dead.len(), hostile.len());
    for record in dead {
        assert!(!record.header("dead-letter-reason").unwrap().is_empty());
        assert!(record.value.len() <= 256 * 1024);
    }
}

#[tokio::test]
async fn a_line_of_text_is_an_event_too() {
    let world = World::new();
    let line = "Mar 27 13:08:09 host sshd[1]: Failed password for root from 203.0.113.7 port 4022 ssh2";
    assert_eq!(world.post(PATH, "text/plain", push(line)).await.status, 204);
    assert_eq!(world.events().await[0].1, line);
}

#[tokio::test]
async fn only_who_may_push_does() {
    let config = Config {
        push: PushAuth::behind_iam(Some("https://api.example.com".to_owned()), Vec::new()),
        ..Config::default()
    };
    let world = World::with(config, good_rules(), |options| options);
    let answer = world.post(PATH, "application/json", push("x")).await;
    assert_eq!(answer.status, 401);
    assert!(world.events().await.is_empty());

    let world = World::with_tokens(&[("sensor", "ingest"), ("eye", "viewer")]);
    for (token, status) in [("sensor", 204), ("eye", 403), ("nobody", 401)] {
        let request = http::Request::post(PATH)
            .header("authorization", format!("Bearer {token}"))
            .body(push("a line").into())
            .unwrap();
        assert_eq!(world.send(request).await.status.as_u16(), status, "{token}");
    }
}

#[tokio::test]
async fn the_analyzer_is_woken_up_once_events_are_in_the_log() {
    let sleeping = Config {
        wake: true,
        verdict_wait: Duration::ZERO,
        ..Config::default()
    };
    let world = World::with(sleeping, good_rules(), |options| options);
    world.post("/api/events", "text/plain", "one line").await;
    assert_eq!(woken(&world).await.len(), 1);
    world.post("/api/events", "application/json", "{\"event_type\": ").await;
    assert_eq!(woken(&world).await.len(), 0, "nothing was taken");
    world.post(PATH, "application/json", push("a line")).await;
    world
        .post("/api/simulate/event", "application/json", "{\"event_type\":\"login\"}")
        .await;
    assert_eq!(woken(&world).await.len(), 2);

    let world = World::new();
    world.post("/api/events", "text/plain", "one line").await;
    assert_eq!(woken(&world).await.len(), 0, "here workers see what comes");
}
