//! What the tests stand on: a real embedded store in a folder of its own, and a real HTTP receiver.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use tempfile::TempDir;
use threatstream_backend::conformance::samples;
use threatstream_backend::{
    AlertWrite, Backends, Commit, FeedCursor, FeedStart, NewThreat, PartitionId, RESPOND_QUEUE, StateChange, Task,
};
use threatstream_domain::{
    AuditRef, BlockEntry, Clock, Execution, FrameKind, MinuteStats, Severity, SourceZone, Tally, Threat, ThreatType,
    Timestamp, derived_id,
};
use threatstream_embedded::{Embedded, Options, open};
use threatstream_runtime::Secret;
use tokio::sync::watch;

use crate::action::WebhookClient;
use crate::execution::Engine;
use crate::{Config, Dependencies, Library, Playbook, WebhookConfig};

/// However slow the machine, nothing that a test waits for takes so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A deployment: its folder and its time.
pub(crate) struct World {
    folder: TempDir,
    embedded: Embedded,
    pub(crate) backends: Backends,
    pub(crate) clock: Clock,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed("2026-11-22T09:00:00Z".parse().unwrap());
        let embedded = open_in(&folder, &clock);
        Self {
            folder,
            backends: embedded.backends(),
            embedded,
            clock,
        }
    }

    /// The process ends and another begins on the same folder.
    pub(crate) async fn restarted(self) -> Self {
        let Self {
            folder,
            embedded,
            backends,
            clock,
        } = self;
        drop(backends);
        embedded.close().await;
        let embedded = open_in(&folder, &clock);
        Self {
            folder,
            backends: embedded.backends(),
            embedded,
            clock,
        }
    }

    /// The built-in playbooks, and a webhook that is not waited for.
    pub(crate) fn engine(&self, webhook: Option<WebhookConfig>) -> Arc<Engine> {
        self.engine_with(Library::builtin(), webhook)
    }

    pub(crate) fn engine_with(&self, playbooks: Library, webhook: Option<WebhookConfig>) -> Arc<Engine> {
        let config = Config {
            playbooks,
            ..Config::builtin()
        };
        let dependencies = Dependencies {
            backends: self.backends.clone(),
            clock: self.clock.clone(),
        };
        let mut engine = Engine::new(config, dependencies);
        engine.webhook = webhook.map(|config| WebhookClient::impatient(config, Duration::from_secs(10)));
        Arc::new(engine)
    }

    /// A stored threat.
    pub(crate) async fn threat(&self, name: &str, edit: impl FnOnce(&mut Threat)) -> Threat {
        let now = self.clock.now();
        let mut threat = brute_force(name, now);
        edit(&mut threat);
        let stored = NewThreat {
            threat: threat.clone(),
            originals: Vec::new(),
        };
        self.commit(&threat.id, vec![stored], Vec::new(), Vec::new()).await;
        threat
    }

    /// What the analyzer counted in a minute.
    pub(crate) async fn counted(&self, minute: MinuteStats) {
        self.commit(
            &format!("minute {}", minute.minute),
            Vec::new(),
            vec![minute],
            Vec::new(),
        )
        .await;
    }

    /// An open alert that is due so long from now.
    pub(crate) async fn alert(&self, id: &str, due_in: Duration) {
        let mut group = samples::alert(id);
        group.due_at = self.clock.now().plus(due_in);
        let write = samples::alert_write(group, 0);
        self.commit(&format!("alert {id}"), Vec::new(), Vec::new(), vec![write])
            .await;
    }

    async fn commit(
        &self,
        batch_id: &str,
        threats: Vec<NewThreat>,
        minutes: Vec<MinuteStats>,
        alerts: Vec<AlertWrite>,
    ) {
        let now = self.clock.now();
        let store = &self.backends.store;
        let id = PartitionId {
            topic: self.backends.topics.matches.clone(),
            partition: 0,
        };
        let partitions = self.backends.log.partitions(&id.topic).await.unwrap();
        let lease = Duration::from_secs(60);
        let checkpoint = store
            .acquire(&id, partitions, "test", lease, now)
            .await
            .unwrap()
            .unwrap();
        let commit = Commit {
            id,
            owner_epoch: checkpoint.owner_epoch,
            expected_offset: checkpoint.next_offset,
            next_offset: checkpoint.next_offset + 1,
            batch_id: batch_id.to_owned(),
            unpublished: Vec::new(),
            tally: Tally::default(),
            lost: 0,
            minutes,
            threats,
            alerts,
            state: StateChange::default(),
            frames: Vec::new(),
            lease_until: checkpoint.lease_until,
            now,
        };
        store.commit(commit).await.unwrap();
    }

    /// The task that the analyzer enqueues for a threat.
    pub(crate) async fn enqueue(&self, threat: &Threat) {
        let task = Task {
            queue: RESPOND_QUEUE.to_owned(),
            id: format!("respond-{}", threat.id),
            payload: serde_json::json!({"threat_id": threat.id}),
        };
        self.backends.tasks.enqueue(vec![task], self.clock.now()).await.unwrap();
    }

    pub(crate) async fn execution(&self, id: &str) -> Execution {
        self.backends.store.execution(id).await.unwrap().unwrap()
    }

    pub(crate) async fn blocklist(&self) -> Vec<BlockEntry> {
        self.backends.store.blocklist(self.clock.now()).await.unwrap()
    }

    pub(crate) async fn auto_blocked(&self, threat: &Threat) -> bool {
        self.backends
            .store
            .threat(&threat.id)
            .await
            .unwrap()
            .unwrap()
            .auto_blocked
    }

    /// What dashboards were told: the status of executions, and `blocked` for a threat that was.
    pub(crate) async fn told_since(&self, before: &FeedCursor) -> Vec<String> {
        let FeedStart::Reader(mut reader) = self.backends.store.follow(before).await.unwrap() else {
            panic!("the feed is gone");
        };
        let records = reader.next(100, Duration::ZERO).await.unwrap();
        let frames = records.iter().flat_map(|record| &record.frames);
        let told = frames.map(|frame| {
            let data: serde_json::Value = serde_json::from_str(frame.data.get()).unwrap();
            match frame.kind {
                FrameKind::PlaybookStatus => data["status"].as_str().unwrap().to_owned(),
                FrameKind::ThreatUpdate if data["auto_blocked"] == true => "blocked".to_owned(),
                other => panic!("{other}: {data}"),
            }
        });
        told.collect()
    }

    /// Waits until the store holds an execution that `is` says yes to.
    pub(crate) async fn wait_for(&self, id: &str, is: impl Fn(&Execution) -> bool) -> Execution {
        let mut ticks = self.backends.store.ticks();
        let found = async {
            loop {
                ticks.borrow_and_update();
                if let Some(execution) = self.backends.store.execution(id).await.unwrap()
                    && is(&execution)
                {
                    return execution;
                }
                ticks.changed().await.unwrap();
            }
        };
        tokio::time::timeout(DEADLINE, found)
            .await
            .expect("the execution did not get there")
    }
}

fn open_in(folder: &TempDir, clock: &Clock) -> Embedded {
    let mut options = Options::new(folder.path());
    options.clock = clock.clone();
    open(options).unwrap()
}

/// The execution that a threat starts.
pub(crate) fn execution_id(playbook: &str, threat: &Threat) -> String {
    derived_id("EXE", &[playbook, &threat.id])
}

/// A library of these playbooks alone.
pub(crate) fn library(yamls: &[&str]) -> Library {
    let folder = tempfile::tempdir().unwrap();
    for yaml in yamls {
        let id = Playbook::parse(yaml).unwrap().id;
        std::fs::write(folder.path().join(format!("{id}.yml")), yaml).unwrap();
    }
    let mut library = Library::default();
    library.add_dir(folder.path()).unwrap();
    library
}

pub(crate) fn brute_force(name: &str, at: Timestamp) -> Threat {
    Threat {
        id: derived_id("THR", &[name]),
        event_id: name.to_owned(),
        timestamp: at,
        severity: Severity::High,
        threat_type: ThreatType::BruteForce,
        risk_score: 80,
        source_ip: Some("203.0.113.7".to_owned()),
        source_country: None,
        source_country_code: None,
        source_zone: Some(SourceZone::External),
        source_asn: None,
        coordinates: None,
        destination_ip: Some("10.0.0.5".to_owned()),
        destination_port: Some(22),
        user: Some("root".to_owned()),
        host: Some("web-1".to_owned()),
        confidence: 0.9,
        description: "guessing of passwords <script>alert(1)</script> \u{1b}[31m".to_owned(),
        contextual_analysis: String::new(),
        contributing_signals: Vec::new(),
        recommended_actions: vec!["block the source".to_owned()],
        mitre_attack_id: Some("T1110.001".to_owned()),
        mitre_attack_name: Some("Password Guessing".to_owned()),
        mitre_tactic: Some("Credential Access".to_owned()),
        rule_ids: vec!["rule".to_owned()],
        rules_hash: "hash".to_owned(),
        event_count: 12,
        evidence: Vec::new(),
        auto_blocked: false,
        simulated: false,
        processing_time_ms: 1.0,
        analyzed_at: at,
        audit_ref: AuditRef::RuleEngine,
        triage: None,
    }
}

/// What the receiver does with a call.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Status(u16),
    With(u16, &'static str, &'static str, String),
    /// Takes the call and never answers.
    Silence,
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Somebody's webhook. The answers come in turn, the last one again and again.
pub(crate) struct Receiver {
    address: std::net::SocketAddr,
    calls: watch::Sender<Vec<Received>>,
    server: tokio::task::JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn new(answers: &[Answer]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = watch::Sender::new(Vec::new());
        let state = (calls.clone(), Arc::new(answers.to_vec()));
        let router = Router::new().fallback(receive).with_state(state);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, calls, server }
    }

    pub(crate) fn config(&self) -> WebhookConfig {
        WebhookConfig {
            url: Secret::new(format!("http://{}/hook/T0K3N", self.address).parse().unwrap()),
            secret: Some(Secret::new("hush".to_owned())),
        }
    }

    pub(crate) fn calls(&self) -> Vec<Received> {
        self.calls.borrow().clone()
    }

    /// Waits until so many calls have arrived.
    pub(crate) async fn arrived(&self, count: usize) {
        let mut calls = self.calls.subscribe();
        let arrived = calls.wait_for(|calls| calls.len() >= count);
        tokio::time::timeout(DEADLINE, arrived)
            .await
            .expect("the call did not arrive")
            .unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Receiving = (watch::Sender<Vec<Received>>, Arc<Vec<Answer>>);

async fn receive(State((calls, answers)): State<Receiving>, headers: HeaderMap, body: Bytes) -> Response {
    let mut at = 0;
    calls.send_modify(|calls| {
        at = calls.len();
        calls.push(Received { headers, body });
    });
    match answers[at.min(answers.len() - 1)].clone() {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::With(status, name, value, body) => {
            (StatusCode::from_u16(status).unwrap(), [(name, value)], body).into_response()
        }
        Answer::Silence => std::future::pending().await,
    }
}
