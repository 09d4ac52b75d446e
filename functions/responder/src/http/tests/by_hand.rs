//! What people start, decide and take back.

use super::*;

#[tokio::test]
async fn a_run_by_hand_is_a_task() {
    let world = World::new();
    let engine = world.engine(None);
    let threat = world.threat("one", |_| {}).await;
    let body = json!({"playbook_id": PLAYBOOK, "threat_id": threat.id, "override_params": {"block_minutes": 5}});
    let answered = post(&engine, "/api/playbooks/execute", &body).await;
    assert_eq!(answered.status, StatusCode::ACCEPTED);
    let execution = answered.json();
    assert_eq!(
        (&execution["status"], &execution["dry_run"]),
        (&json!("PENDING"), &json!(false))
    );
    assert_eq!(world.blocklist().await, [], "nothing runs within the request");

    let world = world.restarted().await;
    let engine = world.engine(None);
    work(&world, &engine).await;
    let path = format!(
        "/api/playbooks/executions/{}",
        execution["execution_id"].as_str().unwrap()
    );
    assert_eq!(get(&engine, &path).await.json()["status"], "COMPLETED");
    let blocklist = world.blocklist().await;
    assert_eq!(
        blocklist[0].expires_at,
        world.clock.now().plus(Duration::from_secs(300))
    );

    // Another run is another execution; one with a key is the same.
    let again = post(&engine, "/api/playbooks/execute", &body).await.json();
    assert_ne!(again["execution_id"], execution["execution_id"]);
    let first = post_keyed(&engine, "/api/playbooks/execute", &body, Some("k"))
        .await
        .json();
    let second = post_keyed(&engine, "/api/playbooks/execute", &body, Some("k"))
        .await
        .json();
    assert_eq!(first["execution_id"], second["execution_id"]);
    let other = json!({"playbook_id": PLAYBOOK, "threat_id": threat.id, "dry_run": true});
    let reused = post_keyed(&engine, "/api/playbooks/execute", &other, Some("k")).await;
    assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", reused.text);
}

#[tokio::test]
async fn a_dry_run_touches_nothing() {
    let world = World::new();
    let engine = world.engine(None);
    let threat = world.threat("one", |_| {}).await;
    let body = json!({"playbook_id": PLAYBOOK, "threat_id": threat.id, "dry_run": true});
    let execution = post(&engine, "/api/playbooks/execute", &body).await.json();
    work(&world, &engine).await;
    let path = format!(
        "/api/playbooks/executions/{}",
        execution["execution_id"].as_str().unwrap()
    );
    let done = get(&engine, &path).await.json();
    assert_eq!((&done["status"], &done["dry_run"]), (&json!("COMPLETED"), &json!(true)));
    assert_eq!(world.blocklist().await, []);
    assert!(!world.auto_blocked(&threat).await);
    let rollback = post(&engine, &format!("{path}/rollback"), &json!({})).await;
    assert_eq!(rollback.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn bad_requests_name_the_field() {
    let world = World::new();
    let engine = world.engine(None);
    let threat = world.threat("one", |_| {}).await;
    let execute = "/api/playbooks/execute";
    let good = json!({"playbook_id": PLAYBOOK, "threat_id": threat.id});
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    for (body, status, field, says) in [
        (with("playbook_id", json!("pb-none")), 404, "playbook_id", ""),
        (with("threat_id", json!("THR-none")), 404, "threat_id", ""),
        (with("threat_id", json!("x".repeat(100_000))), 404, "threat_id", ""),
        (
            with("override_params", json!({"minutes": 5})),
            400,
            "override_params.minutes",
            "block_minutes",
        ),
        (
            with("override_params", json!({"block_minutes": "5"})),
            400,
            "override_params.block_minutes",
            "whole number",
        ),
        (
            with("override_params", json!({"block_minutes": 0})),
            400,
            "override_params.block_minutes",
            "525600",
        ),
        (
            with("override_params", json!({"block_minutes": -1})),
            400,
            "override_params.block_minutes",
            "",
        ),
        (
            with("override_params", json!({"block_minutes": 1e300})),
            400,
            "override_params.block_minutes",
            "whole",
        ),
        (with("override_params", json!([])), 422, "override_params", "map"),
        (with("dry", json!(true)), 422, "dry", "dry_run"),
    ] {
        let answered = post(&engine, execute, &body).await;
        assert_eq!(answered.status.as_u16(), status, "{}", answered.text);
        let error = &answered.json()["errors"][0];
        assert_eq!(error["field"], field, "{}", answered.text);
        assert!(error["message"].as_str().unwrap().contains(says), "{}", answered.text);
    }
    for (path, field) in [
        ("/api/playbooks/history?limit=0", "limit"),
        ("/api/playbooks/history?limit=501", "limit"),
        ("/api/playbooks/history?status=DONE", "status"),
        ("/api/playbooks/history?cursor=%00garbage", "cursor"),
        ("/api/playbooks/history?colour=red", "colour"),
        ("/api/blocklist?format=xml", "format"),
    ] {
        let answered = get(&engine, path).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{path}: {}", answered.text);
        assert_eq!(
            answered.json()["errors"][0]["field"],
            field,
            "{path}: {}",
            answered.text
        );
    }
    for path in [
        "/api/playbooks/executions/EXE-none",
        &format!("/api/playbooks/executions/{}", "x".repeat(5000)),
    ] {
        assert_eq!(get(&engine, path).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_rollback_lifts_the_block_once() {
    let world = World::new();
    let engine = world.engine(None);
    let threat = world.threat("one", |_| {}).await;
    let path = format!("/api/playbooks/executions/{}/rollback", execution_id(PLAYBOOK, &threat));
    assert_eq!(post(&engine, &path, &json!({})).await.status, StatusCode::NOT_FOUND);
    engine.respond(&threat.id, &CancellationToken::new()).await.unwrap();
    assert!(world.auto_blocked(&threat).await);
    let other = world.threat("two", source("198.51.100.1")).await;
    engine.respond(&other.id, &CancellationToken::new()).await.unwrap();

    let answered = post(&engine, &path, &json!({})).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
    let execution = answered.json();
    assert_eq!(execution["status"], "ROLLED_BACK");
    assert!(
        execution["steps"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("rolled back by local"),
        "{execution}"
    );
    let blocked: Vec<String> = world.blocklist().await.into_iter().map(|entry| entry.ip).collect();
    assert_eq!(blocked, ["198.51.100.1"]);
    assert!(!world.auto_blocked(&threat).await && world.auto_blocked(&other).await);
    assert_eq!(post(&engine, &path, &json!({})).await.status, StatusCode::CONFLICT);
    // The task delivered again starts nothing anew.
    engine.respond(&threat.id, &CancellationToken::new()).await.unwrap();
    assert_eq!(world.blocklist().await.len(), 1);
}

#[tokio::test]
async fn a_careful_playbook_waits_for_a_person() {
    let world = World::new();
    let engine = world.engine_with(library(&[CAREFUL]), None);
    let (yes, no) = (
        world.threat("yes", |_| {}).await,
        world.threat("no", source("198.51.100.1")).await,
    );
    for threat in [&yes, &no] {
        engine.respond(&threat.id, &CancellationToken::new()).await.unwrap();
        assert_eq!(
            world.execution(&execution_id("careful", threat)).await.status.as_str(),
            "AWAITING_APPROVAL"
        );
    }
    assert_eq!(world.blocklist().await, []);
    let path =
        |threat: &Threat, what: &str| format!("/api/playbooks/executions/{}/{what}", execution_id("careful", threat));
    for _ in 0..2 {
        let approved = post(&engine, &path(&yes, "approve"), &json!({})).await;
        assert_eq!(
            (approved.status, &approved.json()["status"]),
            (StatusCode::ACCEPTED, &json!("PENDING"))
        );
    }
    let declined = post(&engine, &path(&no, "decline"), &json!({})).await.json();
    assert_eq!(declined["status"], "DECLINED");
    work(&world, &engine).await;
    let blocked: Vec<String> = world.blocklist().await.into_iter().map(|entry| entry.ip).collect();
    assert_eq!(blocked, ["203.0.113.7"]);
    assert_eq!(
        world.execution(&execution_id("careful", &yes)).await.status.as_str(),
        "COMPLETED"
    );
    for (threat, what) in [
        (&no, "approve"),
        (&yes, "approve"),
        (&yes, "decline"),
        (&no, "decline"),
        (&no, "rollback"),
    ] {
        let late = post(&engine, &path(threat, what), &json!({})).await;
        assert_eq!(late.status, StatusCode::CONFLICT, "{what}: {}", late.text);
    }
}

#[tokio::test]
async fn all_mitigations_of_a_threat_start_at_once() {
    let world = World::new();
    let mut playbooks = library(&[CAREFUL]);
    playbooks
        .add_dir(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks"))
        .unwrap();
    let engine = world.engine_with(playbooks, None);
    let threat = world.threat("one", |_| {}).await;
    let answered = post(
        &engine,
        &format!("/api/playbooks/execute-mitigations/{}", threat.id),
        &json!({}),
    )
    .await;
    assert_eq!(answered.status, StatusCode::ACCEPTED);
    let started = answered.json();
    assert_eq!(started["count"], 2);
    assert_eq!(started["executions"][0]["status"], "AWAITING_APPROVAL");
    work(&world, &engine).await;
    assert_eq!(world.blocklist().await.len(), 1);
    let unknown = post(&engine, "/api/playbooks/execute-mitigations/THR-none", &json!({})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
