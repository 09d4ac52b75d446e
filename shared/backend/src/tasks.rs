//! The task queue: work that happens later, at least once, in another request or another process.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use threatstream_domain::Timestamp;

use crate::BackendError;

/// Where threats wait for their playbooks.
pub const RESPOND_QUEUE: &str = "respond";
/// Where the analyzer is told that there is something to analyse, when nothing of it runs between requests.
pub const DRAIN_QUEUE: &str = "drain";
/// Where the slices of a simulation wait, when nothing of the simulator runs between requests.
pub const SIMULATE_QUEUE: &str = "simulate";

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Which queue, as [`RESPOND_QUEUE`].
    pub queue: String,
    /// The same work has the same id, and its handler does it once.
    pub id: String,
    /// What to do, as JSON.
    pub payload: serde_json::Value,
}

/// A task handed out. It comes again when it is not completed before its time is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The task.
    pub task: Task,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// What the queue knows this delivery by.
    pub receipt: String,
}

/// When a failed task comes again, and when it no longer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// After this many attempts a task becomes a dead letter.
    pub max_attempts: u32,
    /// The wait after the first failure; it doubles with each.
    pub min_backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 10,
            min_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(600),
        }
    }
}

impl RetryPolicy {
    /// How long to wait after this attempt (from 1) failed; `None` when it was the last.
    #[must_use]
    pub fn backoff(&self, attempt: u32) -> Option<Duration> {
        if attempt >= self.max_attempts {
            return None;
        }
        let factor = 2u32.saturating_pow(attempt.saturating_sub(1));
        Some(self.min_backoff.saturating_mul(factor).min(self.max_backoff))
    }
}

/// What became of a failed task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It comes again, not before this.
    Retry(Timestamp),
    /// It is a dead letter now.
    Dead,
}

/// A task that failed for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadTask {
    /// The task.
    pub task: Task,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt said.
    pub error: String,
    /// When it was given up.
    pub died_at: Timestamp,
}

/// How full a queue is, in tasks; `None` where the queue cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueDepth {
    /// Waiting, those that wait for a retry included.
    pub waiting: Option<u64>,
    /// Handed out and not completed.
    pub in_flight: Option<u64>,
    /// Given up.
    pub dead: Option<u64>,
}

/// Named queues. A task is delivered at least once, in no promised order; handlers are idempotent by its id.
#[async_trait]
pub trait TaskQueue: Send + Sync + 'static {
    /// Takes tasks durably. After an error none of them is certain to be queued, and some may be: the same call again is safe.
    /// Where the queue can do that, one whose id it has seen within the last day, completed ones included, is dropped.
    async fn enqueue(&self, tasks: Vec<Task>, now: Timestamp) -> Result<(), BackendError>;

    /// Hands out up to `max` tasks whose time has come, each for `lease`; waits up to `wait` for the first, woken by the
    /// enqueue and not by polling where the queue can do that. A queue with a clock of its own goes by that, not by `now`.
    /// What is in the queue and is no task becomes a dead letter on the way.
    async fn take(
        &self,
        queue: &str,
        max: usize,
        lease: Duration,
        now: Timestamp,
        wait: Duration,
    ) -> Result<Vec<Delivery>, BackendError>;

    /// The task is done. Completing twice, or after the lease ran out, does no harm.
    async fn complete(&self, delivery: &Delivery, now: Timestamp) -> Result<(), BackendError>;

    /// The attempt failed; `error` is kept with the dead letter it may become. When its lease has run out meanwhile, a later
    /// attempt counts, as far as the queue can tell.
    async fn fail(&self, delivery: &Delivery, error: &str, now: Timestamp) -> Result<Failed, BackendError>;

    /// Gives up a task that did not come from [`take`](Self::take): one that was pushed into a request, and failed for good. It becomes
    /// a dead letter, durably; burying it again changes nothing, and a task known to be done stays done (where the queue remembers).
    async fn bury(&self, task: Task, attempts: u32, error: &str, now: Timestamp) -> Result<(), BackendError>;

    /// Tasks given up, newest first. A task is listed once, with its last error. Reading takes nothing away.
    async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadTask>, BackendError>;

    /// How full a queue is, as far as it can tell.
    async fn depth(&self, queue: &str) -> Result<QueueDepth, BackendError>;

    /// Reaches the queue for real.
    async fn check(&self) -> Result<(), BackendError>;
}
