use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use threatstream_backend::RESPOND_QUEUE;
use threatstream_domain::Threat;
use threatstream_runtime::auth::{Tokens, hash_token};
use threatstream_runtime::{AuthMode, CancellationToken, PushAuth, ServeConfig, app};
use tower::ServiceExt;

use super::*;
use crate::testing::{Answer, Receiver, World, execution_id, library};

const PLAYBOOK: &str = "pb-brute-001";
const CAREFUL: &str = "id: careful\nname: Careful\napproval: required\n\
    trigger: {threat_types: [BRUTE_FORCE], min_severity: LOW}\n\
    steps: [{name: Block, action: block_source, with: {minutes: 5}}]\n";

struct Answered {
    status: StatusCode,
    headers: http::HeaderMap,
    text: String,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

async fn send(engine: &Arc<Engine>, request: Request<Body>) -> Answered {
    let response = router(Arc::clone(engine)).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answered {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

async fn get(engine: &Arc<Engine>, path: &str) -> Answered {
    send(engine, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn post(engine: &Arc<Engine>, path: &str, body: &Value) -> Answered {
    post_keyed(engine, path, body, None).await
}

async fn post_keyed(engine: &Arc<Engine>, path: &str, body: &Value, key: Option<&str>) -> Answered {
    let mut request = Request::post(path).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    send(engine, request.body(Body::from(body.to_string())).unwrap()).await
}

/// Works what lies in the queue.
async fn work(world: &World, engine: &Arc<Engine>) {
    let lease = Duration::from_secs(120);
    loop {
        let now = world.clock.now();
        let tasks = &world.backends.tasks;
        let deliveries = tasks.take(RESPOND_QUEUE, 10, lease, now, Duration::ZERO).await.unwrap();
        if deliveries.is_empty() {
            return;
        }
        for delivery in deliveries {
            crate::worker::handle(engine, &delivery, &CancellationToken::new()).await;
        }
    }
}

fn source(ip: &'static str) -> impl FnOnce(&mut Threat) {
    move |threat| threat.source_ip = Some(ip.to_owned())
}

#[tokio::test]
async fn playbooks_are_listed_with_those_set_aside() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("bad.yml"),
        "id: bad\nname: B\nsteps: [{name: X, action: reboot}]\n",
    )
    .unwrap();
    let mut playbooks = crate::Library::builtin();
    playbooks.add_dir(dir.path()).unwrap();
    let engine = world.engine_with(playbooks, None);
    let list = get(&engine, "/api/playbooks").await.json();
    assert_eq!(list["count"], 1);
    let playbook = &list["playbooks"][0];
    assert_eq!(playbook["id"], PLAYBOOK);
    assert_eq!(playbook["trigger"]["threat_types"], json!(["BRUTE_FORCE"]));
    assert_eq!(playbook["parameters"], json!({"block_minutes": 60}));
    assert_eq!(playbook["steps"][0]["action"], "block_source");
    assert_eq!(playbook["steps"][1]["name"], "Tell the webhook");
    assert_eq!(list["set_aside"][0]["file"], "bad.yml");
    assert!(
        list["set_aside"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("block_source"),
        "{list}"
    );
}

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
async fn history_pages_and_filters() {
    let world = World::new();
    let engine = world.engine(None);
    for name in ["one", "two", "three"] {
        let threat = world.threat(name, |_| {}).await;
        engine.respond(&threat.id, &CancellationToken::new()).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    let first = get(&engine, "/api/playbooks/history?limit=2").await.json();
    assert_eq!(first["count"], 2);
    let next = format!(
        "/api/playbooks/history?limit=2&cursor={}",
        first["next_cursor"].as_str().unwrap()
    );
    let rest = get(&engine, &next).await.json();
    assert_eq!((&rest["count"], &rest["next_cursor"]), (&json!(1), &json!(null)));
    let one = threatstream_domain::derived_id("THR", &["one"]);
    assert_eq!(rest["executions"][0]["threat_id"], one);
    for (query, count) in [
        ("status=COMPLETED".to_owned(), 3),
        ("status=FAILED".to_owned(), 0),
        (format!("threat_id={one}"), 1),
        (format!("playbook_id={PLAYBOOK}&status=COMPLETED"), 3),
        ("playbook_id=other".to_owned(), 0),
    ] {
        assert_eq!(
            get(&engine, &format!("/api/playbooks/history?{query}")).await.json()["count"],
            count,
            "{query}"
        );
    }
}

#[tokio::test]
async fn firewalls_poll_a_sorted_list() {
    let world = World::new();
    let engine = world.engine(None);
    let list = "/api/blocklist?format=txt";
    assert_eq!(get(&engine, list).await.text, "");
    for (name, ip) in [
        ("a", "203.0.113.20"),
        ("b", "2001:db8::9"),
        ("c", "203.0.113.3"),
        ("d", "::ffff:203.0.113.20"),
    ] {
        let threat = world.threat(name, source(ip)).await;
        engine.respond(&threat.id, &CancellationToken::new()).await.unwrap();
    }
    let answered = get(&engine, list).await;
    assert_eq!(answered.text, "203.0.113.3\n203.0.113.20\n2001:db8::9\n");
    assert_eq!(answered.headers["content-type"], "text/plain; charset=utf-8");
    let tag = answered.headers["etag"].to_str().unwrap().to_owned();
    let ask = |tag: String| {
        Request::get(list)
            .header("if-none-match", tag)
            .body(Body::empty())
            .unwrap()
    };
    for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let unchanged = send(&engine, ask(known)).await;
        assert_eq!(
            (unchanged.status, unchanged.text.as_str()),
            (StatusCode::NOT_MODIFIED, "")
        );
        assert_eq!(unchanged.headers["etag"], tag);
    }

    let json = get(&engine, "/api/blocklist").await.json();
    assert_eq!((&json["count"], &json["as_of"]), (&json!(3), &json!(world.clock.now())));
    assert!(
        json["blocklist"][0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("BRUTE_FORCE (HIGH)"),
        "{json}"
    );

    world.clock.advance(Duration::from_secs(3600));
    let expired = send(&engine, ask(tag)).await;
    assert_eq!((expired.status, expired.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(get(&engine, "/api/blocklist").await.json()["count"], 0);
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
