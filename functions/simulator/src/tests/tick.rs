//! What a scheduler starts.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use threatstream_domain::{MarkKey, SimulationStatus};
use threatstream_runtime::auth::{Tokens, hash_token};
use threatstream_runtime::{AuthMode, PushAuth, ServeConfig, app};
use tower::ServiceExt;

use super::{Deployment, KEY};
use crate::{Config, Dependencies, build};

const NINE: (&str, &str) = ("X-CloudScheduler-ScheduleTime", "2026-11-22T09:00:00Z");

#[tokio::test(start_paused = true)]
async fn a_schedule_time_starts_one_simulation() {
    let deployment = Deployment::new();
    let container = deployment.container(Config::default());
    let (status, first) = container.post("/tick", Some(NINE), "").await;
    assert_eq!((status.as_u16(), &first["started"]), (200, &json!(true)), "{first}");
    let simulation = &first["simulation"];
    assert_eq!(simulation["attack_vector"], "BRUTE_FORCE");
    assert_eq!(
        (&simulation["intensity"], &simulation["duration_seconds"]),
        (&json!("LOW"), &json!(60))
    );
    assert_eq!(simulation["target_eps"], 5);

    // At once, while it runs, in another spelling of the same time, and when it has long ended: it is the same.
    let again = ("x-cloudscheduler-scheduletime", "2026-11-22T10:00:00.000+01:00");
    for _ in 0..2 {
        let (status, second) = deployment
            .container(Config::default())
            .post("/tick", Some(again), "{}")
            .await;
        assert_eq!((status.as_u16(), &second["started"]), (200, &json!(false)), "{second}");
        assert_eq!(second["simulation"]["simulation_id"], simulation["simulation_id"]);
        assert!(second["reason"].as_str().unwrap().contains("before"), "{second}");
    }
    drive(&deployment).await;
    let ended = deployment.stored().await;
    assert_eq!(
        (ended.status, ended.events_generated),
        (SimulationStatus::Completed, 300)
    );
    let (_, third) = container.post("/tick", Some(NINE), "").await;
    assert_eq!(third["started"], false);
    assert!(deployment.task().await.is_none());
    assert_eq!(deployment.logged().await.len(), 300);

    // The next one is another. What was due before it, and comes only now, has had its turn.
    deployment.clock.advance(Duration::from_secs(3600));
    let body = r#"{"attack_vector": "HEALTHY_FLOW", "duration_seconds": 10, "intensity": "HIGH", "target_eps": 2,
        "schedule_time": "2026-11-22T10:00:00Z"}"#;
    let (_, next) = container.post("/tick", None, body).await;
    assert_eq!(next["started"], true, "{next}");
    assert_ne!(next["simulation"]["simulation_id"], simulation["simulation_id"]);
    drive(&deployment).await;
    let (_, late) = container.post("/tick", Some(NINE), "").await;
    assert_eq!(late["started"], false, "{late}");
    assert_eq!(late["simulation"]["attack_vector"], "HEALTHY_FLOW");
}

#[tokio::test(start_paused = true)]
async fn one_that_runs_or_may_not_run_is_a_reason_not_to() {
    let deployment = Deployment::new();
    let container = deployment.container(Config::default());
    let (_, by_hand) = container
        .post("/api/simulation/start", None, r#"{"attack_vector": "HEALTHY_FLOW"}"#)
        .await;
    deployment.clock.advance(Duration::from_secs(5));
    let later = ("x-cloudscheduler-scheduletime", "2026-11-22T09:00:04Z");
    let (status, answer) = container.post("/tick", Some(later), "").await;
    assert_eq!((status.as_u16(), &answer["started"]), (200, &json!(false)));
    assert_eq!(answer["simulation"]["simulation_id"], by_hand["simulation_id"]);
    let id = by_hand["simulation_id"].as_str().unwrap();
    assert!(answer["reason"].as_str().unwrap().contains(id), "{answer}");

    let disabled = Config {
        enabled: false,
        ..Config::default()
    };
    let (status, answer) = deployment.container(disabled).post("/tick", Some(later), "").await;
    assert_eq!((status.as_u16(), &answer["started"]), (200, &json!(false)));
    assert!(
        answer["reason"].as_str().unwrap().contains("SIMULATION_ENABLED"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_must_say_when_it_was_due_and_what_is_wrong_is_named() {
    let deployment = Deployment::new();
    let container = deployment.container(Config::default());
    let header = |text| Some(("x-cloudscheduler-scheduletime", text));
    for (header, body, field) in [
        (None, "", "schedule_time"),
        (None, "{}", "schedule_time"),
        (None, r#"{"schedule_time": 5}"#, "schedule_time"),
        (None, r#"{"schedule_time": "noon"}"#, "schedule_time"),
        (header("yesterday"), "", "x-cloudscheduler-scheduletime"),
        (header("2026-11-22T09:00:00Z"), "[]", "body"),
        (header("2026-11-22T09:00:00Z"), "{", "body"),
        (
            header("2026-11-22T09:00:00Z"),
            r#"{"attack_vector": "WEATHER"}"#,
            "attack_vector",
        ),
        (header("2026-11-22T09:00:00Z"), r#"{"target_eps": 0}"#, "target_eps"),
        (header("2026-11-22T09:00:00Z"), r#"{"speed": 1}"#, "speed"),
    ] {
        let (status, problem) = container.post("/tick", header, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {problem}");
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    assert!(deployment.backends.store.simulation().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn where_a_worker_drives_there_are_no_tasks() {
    let deployment = Deployment::new();
    let process = deployment.process(Config::default());
    let body = r#"{"schedule_time": "2026-11-22T09:00:00Z", "duration_seconds": 10}"#;
    let (status, answer) = process.call("POST", "/tick", Some(body)).await;
    assert_eq!((status.as_u16(), &answer["started"]), (200, &json!(true)));
    assert!(deployment.task().await.is_none());
    process.ended().await;
    let ended = deployment.stored().await;
    assert_eq!(
        (ended.status, ended.events_generated),
        (SimulationStatus::Completed, 50)
    );
    process.terminate().await;
}

#[tokio::test(start_paused = true)]
async fn only_who_may_can_push() {
    let deployment = Deployment::new();
    let dependencies = || Dependencies {
        backends: deployment.backends.clone(),
        clock: deployment.clock.clone(),
        mark_key: MarkKey::new(KEY),
    };
    let entries = format!("ana:analyst:{}\nroot:admin:{}", hash_token("one"), hash_token("two"));
    let serve = ServeConfig {
        auth: AuthMode::Token(Tokens::parse(&entries).unwrap()),
        ..ServeConfig::local()
    };
    let router = app(build(Config::default(), dependencies()), &serve);
    let post = async |path: &str, token: Option<&str>| {
        let mut request = Request::post(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        response.status().as_u16()
    };
    for path in ["/tick", "/tasks/simulate"] {
        assert_eq!(post(path, None).await, 401);
        assert_eq!(post(path, Some("one")).await, 403, "an analyst is no scheduler");
        assert_eq!(post(path, Some("two")).await, 400, "past the door, the body is missed");
    }

    // Behind IAM it is the claims that count.
    let config = Config {
        push: PushAuth::behind_iam(Some("https://simulator".to_owned()), Vec::new()),
        ..Config::default()
    };
    let router = build(config, dependencies()).router;
    for path in ["/tick", "/tasks/simulate"] {
        let body = json!({"message": {"messageId": "1"}}).to_string();
        let request = Request::post(path).body(Body::from(body)).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_ne!(response.headers(), &HeaderMap::new());
    }
    let none: Option<Value> = deployment.task().await.map(|delivery| delivery.task.payload);
    assert_eq!(none, None);
}

/// Works the tasks until there are no more.
async fn drive(deployment: &Deployment) {
    while let Some(delivery) = deployment.task().await {
        let container = deployment.container(Config::default());
        let (status, answer) = container.push(&delivery.task).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}
