//! Analyzers over one embedded store, and what a test does with them.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::Value;
use threatstream_analyzer::{Config, Dependencies, Mode, build, rules};
use threatstream_backend::{
    BackendError, Backends, Checkpoint, ClusterInfo, Durability, EventLog, LogReader, LoggedRecord, Position, Record,
    Watermarks, views,
};
use threatstream_detection::Detector;
use threatstream_detection::enrich::Networks;
use threatstream_domain::{Clock, Envelope, Ledger, MarkKey};
use threatstream_embedded::{Options, open};
use threatstream_runtime::{ServeConfig, app};
use tokio::sync::Semaphore;
use tower::ServiceExt;

pub(crate) const KEY: &str = "key";

/// A topic, and its partitions' next offsets.
type Told = (String, Vec<(u32, u64)>);

/// The log, and what the analyzer did with it.
pub(crate) struct Watched {
    inner: Arc<dyn EventLog>,
    raw: String,
    matches: String,
    /// How often the raw topic was opened for reading.
    pub(crate) opened: AtomicUsize,
    /// So many appends of matches fail.
    pub(crate) failures: AtomicUsize,
    /// Appends of matches that have begun, and those that may go on.
    pub(crate) begun: Semaphore,
    pub(crate) gate: Semaphore,
    /// What the log was told of the progress.
    pub(crate) told: Mutex<Vec<Told>>,
}

#[async_trait]
impl EventLog for Watched {
    async fn partitions(&self, topic: &str) -> Result<u32, BackendError> {
        self.inner.partitions(topic).await
    }
    async fn append(
        &self,
        topic: &str,
        records: Vec<Record>,
        durability: Durability,
    ) -> Result<Vec<Position>, BackendError> {
        if topic == self.matches {
            self.begun.add_permits(1);
            let pass = self.gate.acquire().await.expect("the gate stays");
            let failed = self
                .failures
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            drop(pass);
            if failed.is_ok() {
                return Err(BackendError::Unavailable {
                    backend: "test",
                    message: "no answer".to_owned(),
                });
            }
        }
        // As a broker does. What a foreign producer has put into the raw topic may be more: its batches were compressed.
        if topic != self.raw && records.iter().any(|record| size(record) > MAX_RECORD_BYTES) {
            return Err(BackendError::Rejected {
                backend: "test",
                message: "the record is too large".to_owned(),
            });
        }
        self.inner.append(topic, records, durability).await
    }
    async fn open(&self, topic: &str, from: &[(u32, u64)]) -> Result<Box<dyn LogReader>, BackendError> {
        if topic == self.raw {
            self.opened.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.open(topic, from).await
    }
    async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, BackendError> {
        self.inner.watermarks(topic).await
    }
    async fn cluster(&self, topics: &[String]) -> Result<ClusterInfo, BackendError> {
        self.inner.cluster(topics).await
    }
    async fn report_progress(&self, topic: &str, next_offsets: &[(u32, u64)]) -> Result<(), BackendError> {
        self.told.lock().push((topic.to_owned(), next_offsets.to_vec()));
        self.inner.report_progress(topic, next_offsets).await
    }
    async fn check(&self) -> Result<(), BackendError> {
        self.inner.check().await
    }
}

/// What the log takes.
const MAX_RECORD_BYTES: usize = 2 << 20;

fn size(record: &Record) -> usize {
    let headers = record.headers.iter().map(|(name, value)| name.len() + value.len());
    record.key.len() + record.value.len() + headers.sum::<usize>()
}

/// Open: nobody waits at it.
const OPEN: usize = 1 << 20;

pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) backends: Backends,
    pub(crate) log: Arc<Watched>,
    pub(crate) clock: Clock,
}

impl World {
    pub(crate) fn new(partitions: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::fixed("2026-11-22T10:00:00Z".parse().expect("a time"));
        let options = Options {
            partitions,
            clock: clock.clone(),
            ..Options::new(folder.path())
        };
        let mut backends = open(options).expect("it opens").backends();
        let log = Arc::new(Watched {
            inner: backends.log.clone(),
            raw: backends.topics.raw.clone(),
            matches: backends.topics.matches.clone(),
            opened: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
            begun: Semaphore::new(0),
            gate: Semaphore::new(OPEN),
            told: Mutex::default(),
        });
        backends.log = log.clone();
        Self {
            folder,
            backends,
            log,
            clock,
        }
    }

    pub(crate) fn dependencies(&self, owner: &str) -> Dependencies {
        let rules = Arc::new(rules::load(true, None).expect("rules"));
        Dependencies {
            backends: self.backends.clone(),
            clock: self.clock.clone(),
            detector: Arc::new(Detector::new(rules, Networks::default(), MarkKey::new(KEY))),
            owner: owner.to_owned(),
        }
    }

    /// A process of its own.
    pub(crate) fn analyzer(&self, mode: Mode, owner: &str) -> Analyzer {
        self.analyzer_for(Duration::from_secs(60), mode, owner)
    }

    pub(crate) fn analyzer_for(&self, drain_for: Duration, mode: Mode, owner: &str) -> Analyzer {
        let config = Config {
            mode,
            drain_for,
            ..Config::default()
        };
        Analyzer(app(build(config, self.dependencies(owner)), &ServeConfig::local()))
    }

    /// Failed logins, one a second.
    pub(crate) async fn post(&self, ids: Range<usize>) -> Vec<Position> {
        self.append(ids.map(failed_login).collect()).await
    }

    pub(crate) async fn append(&self, records: Vec<Record>) -> Vec<Position> {
        let raw = &self.backends.topics.raw;
        let appended = self.backends.log.append(raw, records, Durability::Promised).await;
        appended.expect("appended")
    }

    pub(crate) async fn ledger(&self) -> Ledger {
        views::ledger(&self.backends, self.clock.now()).await.expect("a ledger")
    }

    pub(crate) async fn checkpoints(&self, topic: &str) -> Vec<Checkpoint> {
        self.backends.store.checkpoints(topic).await.expect("checkpoints")
    }

    pub(crate) async fn stored(&self) -> u64 {
        self.backends.store.threat_stats().await.expect("stats").total_threats
    }

    /// Every record of a topic, with its partition.
    pub(crate) async fn records(&self, topic: &str) -> Vec<(u32, LoggedRecord)> {
        let log = &self.log.inner;
        let marks = log.watermarks(topic).await.expect("watermarks");
        let mut missing: u64 = marks.iter().map(|marks| marks.high).sum();
        let from: Vec<(u32, u64)> = (0..).zip(&marks).map(|(partition, _)| (partition, 0)).collect();
        let mut reader = log.open(topic, &from).await.expect("a reader");
        let mut records = Vec::new();
        while missing > 0 {
            for read in reader.next(1 << 24, Duration::from_secs(5)).await.expect("records") {
                missing -= read.records.len() as u64;
                records.extend(read.records.into_iter().map(|record| (read.partition, record)));
            }
        }
        records
    }

    /// Changes whenever anything is written to the file by the world's own connections.
    pub(crate) fn file(&self) -> WrittenTo {
        let file: PathBuf = self.folder.path().join("threatstream.db");
        let db = rusqlite::Connection::open(file).expect("the file");
        WrittenTo(db)
    }

    /// Appends of matches stop until [`World::open_gate`].
    pub(crate) fn shut_gate(&self) {
        self.log.gate.forget_permits(OPEN);
    }

    pub(crate) fn open_gate(&self) {
        self.log.gate.add_permits(OPEN);
    }

    /// Waits until an append of matches has begun.
    pub(crate) async fn at_gate(&self) {
        let begun = tokio::time::timeout(Duration::from_secs(30), self.log.begun.acquire()).await;
        begun.expect("a drain gets to its matches").expect("open").forget();
    }
}

/// The file, seen from outside.
pub(crate) struct WrittenTo(rusqlite::Connection);

impl WrittenTo {
    pub(crate) fn version(&self) -> i64 {
        let version = self.0.query_row("PRAGMA data_version", [], |row| row.get(0));
        version.expect("a version")
    }
}

pub(crate) fn line(id: usize) -> String {
    format!(
        "<38>1 2026-11-22T09:{:02}:{:02}Z web-1 sshd 4 - - Failed password for root from 203.0.113.{} port 5 ssh2",
        id / 60 % 60,
        id % 60,
        id % 7
    )
}

pub(crate) fn failed_login(id: usize) -> Record {
    event(&format!("e{id}"), &line(id), "test", None)
}

pub(crate) fn event(id: &str, raw: &str, sender: &str, mark: Option<String>) -> Record {
    let envelope = Envelope {
        event_id: id.into(),
        format: "auto".into(),
        received_at: "2026-11-22T10:00:00Z".parse().expect("a time"),
        sender: sender.into(),
        raw: raw.into(),
    };
    Record::of_event(&envelope, mark)
}

/// A process, by way of its routes.
#[derive(Clone)]
pub(crate) struct Analyzer(Router);

impl Analyzer {
    pub(crate) async fn send(&self, path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = Request::post(path).body(body.into()).expect("a request");
        let response = self
            .0
            .clone()
            .oneshot(request)
            .await
            .unwrap_or_else(|never| match never {});
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("an answer").to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{}: {body:?}", parts.status));
        (parts.status, json)
    }

    /// A drain that succeeds.
    pub(crate) async fn drain(&self) -> Value {
        let (status, report) = self.send("/drain", Body::empty()).await;
        assert_eq!(status, 200, "{report}");
        report
    }

    /// A push that succeeds.
    pub(crate) async fn push(&self, body: &Value) -> Value {
        let (status, report) = self.send("/", body.to_string()).await;
        assert_eq!(status, 200, "{report}");
        report
    }
}
