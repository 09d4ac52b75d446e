//! The routes.

use serde_json::{Value, json};

use super::Deployment;
use crate::Config;

fn fields(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_scenarios_are_listed() {
    let deployment = Deployment::new();
    let process = deployment.process(Config {
        max_eps: 50,
        ..Config::default()
    });
    let (status, body) = process.call("GET", "/api/simulation/scenarios", None).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&body["enabled"], &body["max_eps"], &body["count"]),
        (&json!(true), &json!(50), &json!(2))
    );
    let named: Vec<(&Value, &Value)> = body["scenarios"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (&s["attack_vector"], &s["threat_type"]))
        .collect();
    assert_eq!(
        named,
        [
            (&json!("HEALTHY_FLOW"), &Value::Null),
            (&json!("BRUTE_FORCE"), &json!("BRUTE_FORCE"))
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_start_refuses_it_names() {
    let deployment = Deployment::new();
    let process = deployment.process(Config {
        max_eps: 100,
        ..Config::default()
    });
    for (body, expected, named) in [
        (r#"{"attack_vector": "RANSOMWARE"}"#, 400, &["attack_vector"][..]),
        (r#"{"attack_vector": "brute_force"}"#, 400, &["attack_vector"]),
        (r#"{"attack_vector": 7}"#, 400, &["attack_vector"]),
        (r#"{"attack_vector": null}"#, 400, &["attack_vector"]),
        ("{}", 400, &["attack_vector"]),
        (
            r#"{"attack_vector": "BRUTE_FORCE", "duration_seconds": 9}"#,
            400,
            &["duration_seconds"],
        ),
        (
            r#"{"attack_vector": "BRUTE_FORCE", "duration_seconds": 301}"#,
            400,
            &["duration_seconds"],
        ),
        (
            r#"{"attack_vector": "BRUTE_FORCE", "duration_seconds": 10.5}"#,
            400,
            &["duration_seconds"],
        ),
        (
            r#"{"attack_vector": "BRUTE_FORCE", "duration_seconds": "60"}"#,
            400,
            &["duration_seconds"],
        ),
        (
            r#"{"attack_vector": "BRUTE_FORCE", "target_eps": 0}"#,
            400,
            &["target_eps"],
        ),
        (
            r#"{"attack_vector": "BRUTE_FORCE", "target_eps": -1}"#,
            400,
            &["target_eps"],
        ),
        (
            r#"{"attack_vector": "BRUTE_FORCE", "target_eps": 101}"#,
            400,
            &["target_eps"],
        ),
        (
            r#"{"attack_vector": "BRUTE_FORCE", "target_eps": 1e300}"#,
            400,
            &["target_eps"],
        ),
        (
            r#"{"attack_vector": "BRUTE_FORCE", "intensity": "EXTREME"}"#,
            400,
            &["intensity"],
        ),
        (r#"{"attack_vector": "BRUTE_FORCE", "speed": 1}"#, 400, &["speed"]),
        (
            r#"{"attack_vector": "X", "duration_seconds": 0, "intensity": null, "target_eps": [], "x": 1}"#,
            400,
            &["x", "attack_vector", "duration_seconds", "target_eps"],
        ),
        ("[]", 400, &["body"]),
        ("nonsense", 400, &["body"]),
    ] {
        let (status, problem) = process.call("POST", "/api/simulation/start", Some(body)).await;
        assert_eq!(status, expected, "{body}: {problem}");
        assert_eq!(fields(&problem), named, "{body}: {problem}");
        assert_eq!(problem["status"], expected);
    }
    let (_, problem) = process
        .call(
            "POST",
            "/api/simulation/start",
            Some(r#"{"attack_vector": "DDOS_BURST"}"#),
        )
        .await;
    assert_eq!(
        problem["errors"][0]["message"],
        "expected one of HEALTHY_FLOW, BRUTE_FORCE"
    );
    let (status, problem) = process.call("POST", "/api/simulation/start", Some("{")).await;
    assert_eq!((status.as_u16(), &problem["status"]), (400, &json!(400)));
    let (status, problem) = process.call("POST", "/api/simulation/start", None).await;
    assert_eq!(
        (status.as_u16(), fields(&problem)),
        (400, vec!["attack_vector"]),
        "nothing starts that was not asked for"
    );
    assert!(
        deployment.backends.store.simulation().await.unwrap().is_none(),
        "nothing was started"
    );
    let (status, state) = process.call("GET", "/api/simulation/state", None).await;
    assert_eq!((status.as_u16(), &state["status"]), (200, &json!("IDLE")));
}

#[tokio::test(start_paused = true)]
async fn what_start_is_not_told_has_defaults() {
    let deployment = Deployment::new();
    for body in [
        r#"{"attack_vector": "BRUTE_FORCE"}"#,
        r#"{"attack_vector": "BRUTE_FORCE", "intensity": null}"#,
    ] {
        let process = deployment.process(Config::default());
        let (status, state) = process.call("POST", "/api/simulation/start", Some(body)).await;
        assert_eq!(status, 202, "{state}");
        let expected = json!({
            "status": "RUNNING", "attack_vector": "BRUTE_FORCE", "intensity": "MEDIUM", "target_eps": 20,
            "duration_seconds": 60, "elapsed_seconds": 0, "events_generated": 0, "current_eps": 0.0,
            "started_at": "2026-11-22T09:00:00.000Z", "simulation_id": state["simulation_id"],
        });
        assert_eq!(state, expected);
        let (status, stopped) = process.call("POST", "/api/simulation/stop", None).await;
        assert_eq!((status.as_u16(), &stopped["status"]), (200, &json!("STOPPED")));
        process.terminate().await;
    }
    let process = deployment.process(Config {
        max_eps: 5,
        ..Config::default()
    });
    assert_eq!(
        process.start(r#"{"attack_vector": "BRUTE_FORCE"}"#).await.target_eps,
        Some(5),
        "never above what is allowed"
    );
}

#[tokio::test(start_paused = true)]
async fn one_runs_at_a_time() {
    let deployment = Deployment::new();
    let process = deployment.process(Config::default());
    let order = Some(r#"{"attack_vector": "HEALTHY_FLOW"}"#);
    let (one, other) = tokio::join!(
        process.call("POST", "/api/simulation/start", order),
        process.call("POST", "/api/simulation/start", order)
    );
    let mut statuses = [one.0.as_u16(), other.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409]);
    let (status, problem) = process.call("POST", "/api/simulation/start", order).await;
    let id = process.state().await.simulation_id.unwrap();
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains(&id), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn where_it_is_disabled_it_says_so() {
    let deployment = Deployment::new();
    let process = deployment.process(Config {
        enabled: false,
        ..Config::default()
    });
    let (status, problem) = process.call("POST", "/api/simulation/start", None).await;
    assert_eq!(status, 403);
    assert!(
        problem["detail"].as_str().unwrap().contains("SIMULATION_ENABLED"),
        "{problem}"
    );
    let (status, state) = process.call("POST", "/api/simulation/stop", None).await;
    assert_eq!((status.as_u16(), &state["status"]), (200, &json!("IDLE")));
    let (_, body) = process.call("GET", "/api/simulation/scenarios", None).await;
    assert_eq!(body["enabled"], false);
}
