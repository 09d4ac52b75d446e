//! Simulations driven by tasks: containers that work within their requests alone, on paused time.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::{Extension, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use threatstream_backend::{Delivery, SIMULATE_QUEUE, Task};
use threatstream_domain::{Envelope, MarkKey, SimulationStatus};
use threatstream_runtime::Shutdown;
use tokio::time::Instant;
use tower::ServiceExt;

use super::{Deployment, KEY, Logged};
use crate::{Config, Dependencies, build};

const TWO_MINUTES: &str = r#"{"attack_vector": "BRUTE_FORCE", "duration_seconds": 120, "target_eps": 4}"#;
const LEASE: Duration = Duration::from_secs(600);

/// A container: it shares the deployment's data with the others, and nothing else.
pub(super) struct Container<'d> {
    deployment: &'d Deployment,
    router: Router,
}

impl Deployment {
    pub(super) fn container(&self, config: Config) -> Container<'_> {
        let dependencies = Dependencies {
            backends: self.backends.clone(),
            clock: self.clock.clone(),
            mark_key: MarkKey::new(KEY),
        };
        let function = build(
            Config {
                workers: false,
                ..config
            },
            dependencies,
        );
        assert!(function.workers.is_empty());
        Container {
            deployment: self,
            router: function.router.layer(Extension(Shutdown::default())),
        }
    }

    /// The next task of the queue, as soon as there is one.
    pub(super) async fn task(&self) -> Option<Delivery> {
        let now = self.clock.now();
        let tasks = &self.backends.tasks;
        let taken = tasks.take(SIMULATE_QUEUE, 1, LEASE, now, Duration::ZERO).await.unwrap();
        taken.into_iter().next()
    }
}

impl Container<'_> {
    /// Sends a request; the deployment's clock moves on by what it took.
    pub(super) async fn post(&self, path: &str, header: Option<(&str, &str)>, body: &str) -> (StatusCode, Value) {
        let started = Instant::now();
        let mut request = Request::post(path).header("content-type", "application/json");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        self.deployment.clock.advance(started.elapsed());
        (status, serde_json::from_slice(&body).unwrap())
    }

    pub(super) async fn push(&self, task: &Task) -> (StatusCode, Value) {
        self.post("/tasks/simulate", None, &envelope(task).to_string()).await
    }

    /// Pushes a task and lets the container die before it has answered, if it takes that long.
    async fn push_and_die(&self, task: &Task, after: Duration) -> Option<StatusCode> {
        let started = Instant::now();
        tokio::select! {
            (status, _) = self.push(task) => return Some(status),
            () = tokio::time::sleep(after) => {}
        }
        self.deployment.clock.advance(started.elapsed());
        None
    }
}

fn envelope(task: &Task) -> Value {
    json!({
        "message": {
            "attributes": {"queue": task.queue, "task_id": task.id},
            "data": STANDARD.encode(task.payload.to_string()),
            "messageId": "2070443601311540",
        },
        "subscription": "projects/p/subscriptions/threatstream-simulate",
    })
}

/// How often each line is there; each id comes with one content.
fn lines(logged: &[Logged]) -> BTreeMap<&str, usize> {
    let mut contents: BTreeMap<&str, &str> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for line in logged {
        assert_eq!(*contents.entry(&line.event_id).or_insert(&line.raw), line.raw);
        *counts.entry(line.event_id.as_str()).or_default() += 1;
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn slices_send_every_line_at_its_time_and_then_it_is_over() {
    let deployment = Deployment::new();
    let head = deployment.backends.store.head().await.unwrap();
    let container = deployment.container(Config::default());
    let (status, started) = container.post("/api/simulation/start", None, TWO_MINUTES).await;
    assert_eq!((status.as_u16(), &started["status"]), (202, &json!("RUNNING")));

    let mut answers = Vec::new();
    while let Some(delivery) = deployment.task().await {
        let began = deployment.clock.now();
        // Another container each time: nothing is kept between them but the store.
        let (status, answer) = deployment.container(Config::default()).push(&delivery.task).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert!(deployment.clock.now().since(began) <= Duration::from_secs(51));
        deployment
            .backends
            .tasks
            .complete(&delivery, deployment.clock.now())
            .await
            .unwrap();
        answers.push(answer);
    }
    assert_eq!(
        answers,
        [
            json!({"outcome": "sent", "next": 1}),
            json!({"outcome": "sent", "next": 2}),
            json!({"outcome": "ended"})
        ]
    );
    let ended = deployment.stored().await;
    assert_eq!(
        (ended.status, ended.events_generated, ended.elapsed_seconds),
        (SimulationStatus::Completed, 480, 120)
    );
    let logged = deployment.logged().await;
    assert_eq!((logged.len(), lines(&logged).len()), (480, 480), "each line once");
    let told = deployment.told(&head).await;
    assert!(told.len() > 100, "dashboards see it run: {}", told.len());
    assert!(told.is_sorted_by_key(|state| state.events_generated));
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_honoured_wherever_it_is_said() {
    let deployment = Deployment::new();
    let container = deployment.container(Config::default());
    container.post("/api/simulation/start", None, TWO_MINUTES).await;
    let delivery = deployment.task().await.unwrap();
    let other = deployment.container(Config::default());
    let began = Instant::now();
    let slice = container.push(&delivery.task);
    let stop = async {
        let mut ticks = deployment.backends.store.ticks();
        while deployment.stored().await.events_generated < 40 {
            ticks.changed().await.unwrap();
        }
        let (_, stopped) = other.post("/api/simulation/stop", None, "").await;
        (stopped, began.elapsed())
    };
    let ((status, answer), (stopped, stopped_after)) = tokio::join!(slice, stop);
    assert_eq!((status.as_u16(), answer), (200, json!({"outcome": "ended"})));
    assert_eq!(stopped["status"], "STOPPED");
    let state = deployment.stored().await;
    assert_eq!(state.status, SimulationStatus::Stopped);
    let logged = deployment.logged().await;
    let last_allowed = state
        .started_at
        .unwrap()
        .plus(stopped_after + Duration::from_millis(1100));
    for line in &logged {
        let envelope = Envelope::from_bytes(line.value.as_bytes()).unwrap();
        assert!(
            envelope.received_at <= last_allowed,
            "sent more than a second after the stop"
        );
    }
    let logged = logged.len();
    assert!((40..200).contains(&logged), "{logged}");
    assert!(deployment.task().await.is_none(), "no other slice is to come");

    let (status, answer) = other.push(&delivery.task).await;
    assert_eq!(
        (status.as_u16(), answer),
        (200, json!({"outcome": "nothing", "reason": "no simulation is running"}))
    );
    assert_eq!(deployment.logged().await.len(), logged);
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_comes_while_it_is_at_work_is_to_come_again() {
    let deployment = Deployment::new();
    let container = deployment.container(Config::default());
    container.post("/api/simulation/start", None, TWO_MINUTES).await;
    let delivery = deployment.task().await.unwrap();
    let ((first, _), (second, problem)) = tokio::join!(container.push(&delivery.task), container.push(&delivery.task));
    let mut statuses = [first.as_u16(), second.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503], "{problem}");
    assert_eq!(deployment.logged().await.len(), 200);
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_done_is_a_dead_letter() {
    let deployment = Deployment::new();
    let container = deployment.container(Config::default());
    let task = |payload: Value| Task {
        queue: SIMULATE_QUEUE.to_owned(),
        id: format!("task {payload}"),
        payload,
    };
    let odd = [
        json!(null),
        json!({}),
        json!({"simulation_id": "SIM-1"}),
        json!({"simulation_id": "SIM-1", "slice": -1}),
        json!("\u{1b}[31m<script>"),
    ];
    for payload in &odd {
        for _ in 0..2 {
            let (status, answer) = container.push(&task(payload.clone())).await;
            assert_eq!(
                (status.as_u16(), &answer["outcome"]),
                (200, &json!("given_up")),
                "{payload}"
            );
        }
    }
    let mut foreign = envelope(&task(json!({})));
    foreign["message"]["attributes"]["queue"] = json!("respond");
    let (status, _) = container.post("/tasks/simulate", None, &foreign.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    let dead = deployment
        .backends
        .tasks
        .dead_letters(SIMULATE_QUEUE, 50)
        .await
        .unwrap();
    assert_eq!(dead.len(), odd.len() + 1);
    assert!(dead.iter().any(|dead| dead.error.contains("simulation_id")), "{dead:?}");
    assert!(
        dead.iter().any(|dead| dead.error.contains("message.attributes.queue")),
        "{dead:?}"
    );

    // What is no envelope never came from a queue.
    let (status, problem) = container.post("/tasks/simulate", None, "{}").await;
    assert_eq!(
        (status.as_u16(), &problem["errors"][0]["field"]),
        (422, &json!("message"))
    );
    for unknown in [
        json!({"simulation_id": "SIM-1", "slice": 0}),
        json!({"simulation_id": "", "slice": u32::MAX}),
    ] {
        let (status, answer) = container.push(&task(unknown)).await;
        assert_eq!((status.as_u16(), &answer["outcome"]), (200, &json!("nothing")));
    }
    assert!(deployment.logged().await.is_empty());
}

/// What befalls a delivery.
#[derive(Clone, Debug)]
enum Fate {
    /// It is worked and acknowledged.
    Worked,
    /// It comes so many seconds late, and is then worked.
    Late(u64),
    /// Its container dies so many seconds into the request; it comes again.
    Died(u64),
    /// It is worked, but the acknowledgement is lost; it comes again.
    Twice,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Worked),
        1 => (0u64..90).prop_map(Fate::Late),
        2 => (0u64..55).prop_map(Fate::Died),
        1 => Just(Fate::Twice),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever befalls the tasks, every line is in the log, under one id with one content, and nothing else is.
    #[test]
    fn slices_cover_every_line_once(
        fates in prop::collection::vec(fate(), 0..12),
        eps in 1u32..5,
        seconds in 10u32..=170,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            let deployment = Deployment::new();
            let order = json!({"attack_vector": "HEALTHY_FLOW", "duration_seconds": seconds, "target_eps": eps});
            let container = deployment.container(Config::default());
            container.post("/api/simulation/start", None, &order.to_string()).await;
            let mut fates = fates.into_iter();
            let mut tasks: Vec<Task> = Vec::new();
            loop {
                while let Some(delivery) = deployment.task().await {
                    tasks.push(delivery.task);
                }
                let Some(task) = tasks.first().cloned() else { break };
                let container = deployment.container(Config::default());
                match fates.next().unwrap_or(Fate::Worked) {
                    Fate::Worked => {
                        let (status, answer) = container.push(&task).await;
                        assert_eq!(status, StatusCode::OK, "{answer}");
                        tasks.remove(0);
                    }
                    Fate::Late(seconds) => deployment.clock.advance(Duration::from_secs(seconds)),
                    Fate::Died(seconds) => drop(container.push_and_die(&task, Duration::from_secs(seconds)).await),
                    Fate::Twice => drop(container.push(&task).await),
                }
            }
            let logged = deployment.logged().await;
            let total = usize::try_from(eps * seconds).unwrap();
            assert_eq!(lines(&logged).len(), total);
            let ended = deployment.stored().await;
            assert_eq!((ended.status, ended.events_generated), (SimulationStatus::Completed, total as u64));
        });
    }
}
