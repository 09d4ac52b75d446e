//! Tasks that are pushed, and who may push.

use super::*;

/// A task as Pub/Sub pushes it.
fn envelope(queue: &str, id: &str, payload: &Value) -> Value {
    json!({
        "deliveryAttempt": 3,
        "message": {
            "attributes": {"queue": queue, "task_id": id},
            "data": STANDARD.encode(payload.to_string()),
            "messageId": "2070443601311540",
        },
        "subscription": "projects/p/subscriptions/threatstream-respond",
    })
}

#[tokio::test]
async fn a_pushed_task_is_worked_within_the_request() {
    let world = World::new();
    let engine = world.engine(None);
    let threat = world.threat("one", |_| {}).await;
    let task = envelope(
        RESPOND_QUEUE,
        &format!("respond-{}", threat.id),
        &json!({"threat_id": threat.id}),
    );
    for _ in 0..3 {
        assert_eq!(
            post(&engine, "/tasks/respond", &task).await.status,
            StatusCode::NO_CONTENT
        );
    }
    assert_eq!(world.blocklist().await.len(), 1);
    let executions = get(&engine, "/api/playbooks/history").await.json();
    assert_eq!(executions["count"], 1);
    assert_eq!(executions["executions"][0]["status"], "COMPLETED");
    assert!(dead_letters(&world).await.is_empty());
}

#[tokio::test]
async fn a_pushed_task_that_can_never_be_done_is_a_dead_letter() {
    let world = World::new();
    let engine = world.engine(None);
    let hopeless = [
        ("threat", json!({"threat_id": "THR-none"}), "THR-none"),
        ("execution", json!({"execution_id": "EXE-none"}), "EXE-none"),
        ("nothing", json!({}), "threat_id or execution_id"),
        ("number", json!(7), "payload"),
        ("long", json!("x".repeat(100_000)), "payload"),
    ];
    for (id, payload, _) in &hopeless {
        let task = envelope(RESPOND_QUEUE, id, payload);
        for _ in 0..2 {
            let answered = post(&engine, "/tasks/respond", &task).await;
            assert_eq!(answered.status, StatusCode::NO_CONTENT, "{}", answered.text);
        }
    }
    let foreign = envelope("drain", "foreign", &json!({}));
    assert_eq!(
        post(&engine, "/tasks/respond", &foreign).await.status,
        StatusCode::NO_CONTENT
    );
    let dead = dead_letters(&world).await;
    assert_eq!(dead.len(), hopeless.len() + 1);
    for (id, payload, says) in &hopeless {
        let letter = dead.iter().find(|letter| letter.task.id == *id).unwrap();
        assert_eq!((&letter.task.payload, letter.attempts), (payload, 3));
        assert!(letter.error.contains(says), "{letter:?}");
    }
    let letter = dead
        .iter()
        .find(|letter| letter.task.id == "push-2070443601311540")
        .unwrap();
    assert!(letter.error.contains("message.attributes.queue"), "{letter:?}");

    for (body, status) in [(json!({}), 422), (json!([]), 400)] {
        let answered = post(&engine, "/tasks/respond", &body).await;
        assert_eq!(answered.status.as_u16(), status, "{}", answered.text);
    }
    assert_eq!(dead_letters(&world).await.len(), hopeless.len() + 1);
}

#[tokio::test]
async fn a_pushed_task_that_may_succeed_later_is_to_come_again() {
    let world = World::new();
    let receiver = Receiver::new(&[Answer::Silence]).await;
    let threat = world.threat("one", |_| {}).await;
    let task = envelope(RESPOND_QUEUE, "respond", &json!({"threat_id": threat.id}));
    // The container dies while the webhook does not answer.
    let engine = world.engine(Some(receiver.config()));
    let died = tokio::spawn(async move { post(&engine, "/tasks/respond", &task).await.status });
    receiver.arrived(1).await;
    died.abort();
    assert!(died.await.unwrap_err().is_cancelled());

    let engine = world.engine(Some(receiver.config()));
    let task = envelope(RESPOND_QUEUE, "respond", &json!({"threat_id": threat.id}));
    let busy = post(&engine, "/tasks/respond", &task).await;
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE, "{}", busy.text);
    assert!(busy.headers.contains_key("retry-after"));
    world.clock.advance(crate::execution::INTERRUPTED_AFTER);
    assert_eq!(
        post(&engine, "/tasks/respond", &task).await.status,
        StatusCode::NO_CONTENT
    );
    let execution = world.execution(&execution_id(PLAYBOOK, &threat)).await;
    assert_eq!(execution.status.as_str(), "FAILED");
    assert_eq!(receiver.calls().len(), 1, "what may have been sent is not sent again");
    assert!(dead_letters(&world).await.is_empty());
}

async fn dead_letters(world: &World) -> Vec<threatstream_backend::DeadTask> {
    world.backends.tasks.dead_letters(RESPOND_QUEUE, 50).await.unwrap()
}

fn function(world: &World, edit: impl FnOnce(&mut crate::Config)) -> threatstream_runtime::Function {
    let dependencies = crate::Dependencies {
        backends: world.backends.clone(),
        clock: world.clock.clone(),
    };
    let mut config = crate::Config::builtin();
    edit(&mut config);
    crate::build(config, dependencies)
}

#[tokio::test]
async fn only_who_may_can_push() {
    let world = World::new();
    let entries = format!("ana:analyst:{}\nroot:admin:{}", hash_token("one"), hash_token("two"));
    let serve = ServeConfig {
        auth: AuthMode::Token(Tokens::parse(&entries).unwrap()),
        ..ServeConfig::local()
    };
    let router = app(function(&world, |_| {}), &serve);
    for (path, token, status) in [
        ("/tasks/respond", None, 401),
        ("/tasks/respond", Some("one"), 403),
        ("/tasks/respond", Some("two"), 400),
        ("/tasks/sweep", None, 401),
        ("/tasks/sweep", Some("one"), 403),
        ("/tasks/sweep", Some("two"), 200),
    ] {
        let mut request = Request::post(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), status, "{path} {token:?}");
    }

    // Behind IAM it is the claims that count.
    let push = PushAuth::behind_iam(None, vec!["push@p.iam.gserviceaccount.com".to_owned()]);
    let router = function(&world, |config| config.push = push).router;
    for path in ["/tasks/respond", "/tasks/sweep"] {
        let body = envelope(RESPOND_QUEUE, "1", &json!({})).to_string();
        let response = router
            .clone()
            .oneshot(Request::post(path).body(Body::from(body)).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    assert!(dead_letters(&world).await.is_empty());
}

#[test]
fn the_function_has_its_routes_and_its_workers() {
    let world = World::new();
    let workers = |function: threatstream_runtime::Function| -> Vec<&str> {
        function.workers.iter().map(|worker| worker.name).collect()
    };
    let whole = function(&world, |_| {});
    assert_eq!(whole.name, "responder");
    assert_eq!(workers(whole), ["respond", "minute"]);
    assert!(workers(function(&world, |config| config.workers = false)).is_empty());
}
