//! The analyzer: events in, threats and alerts out, each effect exactly once.
//!
//! Two stages, each the only worker of the partitions it holds the lease of:
//!
//! - **match** ([`matching`]) reads `security.raw.logs`, drops duplicates, matches the rules, and publishes each match to
//!   `security.matches`, keyed by what it is grouped by. It publishes first and commits then: a match published twice is a
//!   duplicate to judge.
//! - **judge** ([`judging`]) reads `security.matches`, correlates, suppresses, scores and groups, commits threats and alerts
//!   with its checkpoint, and publishes then: what is committed and not yet known to be published is named in the checkpoint.
//!
//! Three things start the work, one of which is chosen for a deployment ([`Mode`]): a wake-up ([`drain`]), a connector that brings
//! records ([`push`]), or workers that never stop.
//!
//! What the stages decide is pure code in `threatstream-detection`; here is the order of reading, publishing and committing
//! that makes it survive the death of the process at any moment.

mod batch;
mod config;
pub mod drain;
mod examined;
mod failure;
pub mod judging;
pub mod matching;
mod progress;
mod publish;
pub mod push;
pub mod rules;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use threatstream_backend::{BackendError, Backends};
use threatstream_domain::Clock;
use threatstream_runtime::{CancellationToken, Function};

pub use config::{Config, Mode};
pub use rules::DetectorSource;

/// How long a lease holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(15);
/// How often a held lease is renewed and a free one looked for.
const LEASE_ROUND: Duration = Duration::from_secs(5);

/// What the analyzer works with.
#[derive(Clone)]
pub struct Dependencies {
    /// The log, the store and the task queue.
    pub backends: Backends,
    /// The time.
    pub clock: Clock,
    /// The rules: a [`Detector`](threatstream_detection::Detector) whose rules stay, or one that follows their files.
    pub detector: Arc<dyn DetectorSource>,
    /// Names this process among those that take leases; unique.
    pub owner: String,
}

/// Why a stage stopped working a partition.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A backend failed; what is in memory is thrown away, and the partition read again from its checkpoint.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Analysts changed these alerts each time a batch that concerns them was to be committed.
    #[error("alerts are being changed faster than a batch can be committed: {}", .0.join(", "))]
    Contested(Vec<String>),
    /// The process is ending.
    #[error("the process is ending")]
    Stopping,
    /// The partition's saved state is not readable: only another version of the program can go on with it.
    #[error(transparent)]
    State(#[from] threatstream_detection::judge::UnreadableState),
}

/// The analyzer, started by what the configuration says.
///
/// `worker`: both stages as workers, and no routes. `drain`: `POST /drain`. `push`: `POST /` and `POST /drain`. A function with
/// routes has no workers: what a request starts is finished before it is answered.
#[must_use]
pub fn build(config: Config, dependencies: Dependencies) -> Function {
    let (log, store) = (dependencies.backends.log.clone(), dependencies.backends.store.clone());
    if config.mode == Mode::Worker {
        let (matching, judging) = (dependencies.clone(), dependencies);
        return Function::new("analyzer", Router::new())
            .worker("match", move |stop| matching::run(matching.clone(), stop))
            .worker("judge", move |stop| judging::run(judging.clone(), stop));
    }
    let drainer = Arc::new(drain::Drainer::new(dependencies, config.push, config.drain_for));
    let mut router = Router::new().route("/drain", post(drain::post_drain));
    if config.mode == Mode::Push {
        router = router.route("/", post(push::post_records));
    }
    let function = Function::new("analyzer", router.with_state(drainer))
        .ingest("/drain")
        .ready("event_log", move || {
            let log = log.clone();
            async move { log.check().await.map_err(|_| "does not answer".to_owned()) }
        })
        .ready("store", move || {
            let store = store.clone();
            async move { store.check().await.map_err(|_| "does not answer".to_owned()) }
        });
    if config.mode == Mode::Push {
        function.ingest("/")
    } else {
        function
    }
}

/// Waits, unless the token is cancelled first: false.
async fn pause(span: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(span) => true,
        () = stop.cancelled() => false,
    }
}
