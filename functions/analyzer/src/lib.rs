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
//! What the stages decide is pure code in `threatstream-detection`; here is the order of reading, publishing and committing
//! that makes it survive the death of the process at any moment.

mod batch;
mod examined;
pub mod judging;
pub mod matching;
mod publish;
pub mod rules;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use threatstream_backend::{BackendError, Backends};
use threatstream_detection::Detector;
use threatstream_domain::Clock;
use threatstream_runtime::{CancellationToken, Function};

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
    /// The rules.
    pub detector: Arc<Detector>,
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

/// The analyzer with both stages as workers, for a process that stays.
#[must_use]
pub fn build(dependencies: &Dependencies) -> Function {
    let (matching, judging) = (dependencies.clone(), dependencies.clone());
    Function::new("analyzer", Router::new())
        .worker("match", move |stop| matching::run(matching.clone(), stop))
        .worker("judge", move |stop| judging::run(judging.clone(), stop))
}

/// Waits, unless the token is cancelled first: false.
async fn pause(span: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(span) => true,
        () = stop.cancelled() => false,
    }
}
