//! The simulator over a real embedded store.

mod cloud;
mod http;
mod tick;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use threatstream_backend::{Backends, FeedCursor, FeedStart};
use threatstream_domain::{Clock, FrameKind, MARK_HEADER, MarkKey, SimulationState, SimulationStatus, Timestamp};
use threatstream_embedded::Options;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::control::Simulator;
use crate::{Config, Dependencies, routes, worker as work};

const KEY: &str = "a key of thirty-two bytes length";

/// A deployment: its data and its clock outlive the simulators that work with them.
struct Deployment {
    backends: Backends,
    clock: Clock,
    _folder: TempDir,
}

/// A process of it.
struct Process {
    simulator: Arc<Simulator>,
    router: Router,
    stop: CancellationToken,
    worker: JoinHandle<anyhow::Result<()>>,
}

/// A line as it lies in the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Logged {
    event_id: String,
    raw: String,
    mark: String,
    value: String,
}

impl Deployment {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed("2026-11-22T09:00:00Z".parse().unwrap());
        let options = Options {
            clock: clock.clone(),
            ..Options::new(folder.path())
        };
        let backends = threatstream_embedded::open(options).unwrap().backends();
        Self {
            backends,
            clock,
            _folder: folder,
        }
    }

    /// A process with the worker at work.
    fn process(&self, config: Config) -> Process {
        let dependencies = Dependencies {
            backends: self.backends.clone(),
            clock: self.clock.clone(),
            mark_key: MarkKey::new(KEY),
        };
        let simulator = Arc::new(Simulator::new(config, dependencies));
        let stop = CancellationToken::new();
        let worker = tokio::spawn(work::work(Arc::clone(&simulator), stop.clone()));
        Process {
            router: routes::router(Arc::clone(&simulator)),
            simulator,
            stop,
            worker,
        }
    }

    async fn stored(&self) -> SimulationState {
        self.backends.store.simulation().await.unwrap().unwrap()
    }

    /// Every record of the raw topic.
    async fn logged(&self) -> Vec<Logged> {
        let topic = &self.backends.topics.raw;
        let from: Vec<(u32, u64)> = (0..self.backends.log.partitions(topic).await.unwrap())
            .map(|p| (p, 0))
            .collect();
        let mut reader = self.backends.log.open(topic, &from).await.unwrap();
        let mut logged = Vec::new();
        loop {
            let batch = reader.next(1 << 20, Duration::ZERO).await.unwrap();
            if batch.is_empty() {
                return logged;
            }
            for record in batch.into_iter().flat_map(|partition| partition.records) {
                let value = String::from_utf8(record.value.to_vec()).unwrap();
                let envelope = threatstream_domain::Envelope::from_bytes(value.as_bytes()).unwrap();
                let (_, mark) = record.headers.iter().find(|(name, _)| name == MARK_HEADER).unwrap();
                logged.push(Logged {
                    event_id: envelope.event_id.to_string(),
                    raw: envelope.raw.to_string(),
                    mark: String::from_utf8(mark.to_vec()).unwrap(),
                    value: value.clone(),
                });
            }
        }
    }

    /// What dashboards were told since `from`.
    async fn told(&self, from: &FeedCursor) -> Vec<SimulationState> {
        let FeedStart::Reader(mut reader) = self.backends.store.follow(from).await.unwrap() else {
            panic!("history is gone")
        };
        let records = reader.next(1000, Duration::ZERO).await.unwrap();
        let frames = records.into_iter().flat_map(|record| record.frames);
        frames
            .filter(|frame| frame.kind == FrameKind::SimulationUpdate)
            .map(|frame| serde_json::from_str(frame.data.get()).unwrap())
            .collect()
    }
}

impl Process {
    async fn call(&self, method: &str, path: &str, body: Option<&str>) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json");
        let request = request
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_owned())))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn start(&self, body: &str) -> SimulationState {
        let (status, state) = self.call("POST", "/api/simulation/start", Some(body)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{state}");
        serde_json::from_value(state).unwrap()
    }

    async fn state(&self) -> SimulationState {
        let (status, state) = self.call("GET", "/api/simulation/state", None).await;
        assert_eq!(status, StatusCode::OK);
        serde_json::from_value(state).unwrap()
    }

    /// Waits until so many events are out. There is no other timer than the worker's own, so that the paused time moves with
    /// its work alone.
    async fn sent(&self, events: u64) -> SimulationState {
        let mut live = self.simulator.live.subscribe();
        let reached = |state: &Option<SimulationState>| state.as_ref().is_some_and(|s| s.events_generated >= events);
        live.wait_for(reached).await.unwrap().clone().unwrap()
    }

    /// Waits until the worker has nothing more to run.
    async fn ended(&self) {
        let mut live = self.simulator.live.subscribe();
        live.wait_for(Option::is_some).await.unwrap();
        live.wait_for(Option::is_none).await.unwrap();
    }

    /// SIGTERM.
    async fn terminate(self) {
        self.stop.cancel();
        self.worker.await.unwrap().unwrap();
    }

    /// SIGKILL.
    async fn kill(self) {
        self.worker.abort();
        assert!(self.worker.await.unwrap_err().is_cancelled());
    }
}

fn running() -> SimulationState {
    SimulationState {
        status: SimulationStatus::Running,
        ..SimulationState::idle()
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
