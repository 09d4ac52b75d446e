//! A task queue in front of another, where a test decides when and whether tasks are taken.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use threatstream_domain::Timestamp;

use crate::{BackendError, DeadTask, Delivery, Failed, QueueDepth, Task, TaskQueue};

/// What comes before tasks are given on.
#[async_trait]
pub trait BeforeEnqueue: Send + Sync + 'static {
    /// Waits as long as it likes; an error is the enqueue's, and nothing is given on.
    async fn before_enqueue(&self) -> Result<(), BackendError>;
}

/// Asks its hook before each enqueue; everything else it gives on as it is.
pub struct HookedQueue<H> {
    /// The queue behind it.
    pub inner: Arc<dyn TaskQueue>,
    /// Asked first.
    pub hook: H,
}

/// The failure of a backend that is away.
#[must_use]
pub fn away() -> BackendError {
    BackendError::Unavailable {
        backend: "test",
        message: "no answer".to_owned(),
    }
}

#[async_trait]
impl<H: BeforeEnqueue> TaskQueue for HookedQueue<H> {
    async fn enqueue(&self, tasks: Vec<Task>, now: Timestamp) -> Result<(), BackendError> {
        self.hook.before_enqueue().await?;
        self.inner.enqueue(tasks, now).await
    }

    async fn take(
        &self,
        queue: &str,
        max: usize,
        lease: Duration,
        now: Timestamp,
        wait: Duration,
    ) -> Result<Vec<Delivery>, BackendError> {
        self.inner.take(queue, max, lease, now, wait).await
    }

    async fn complete(&self, delivery: &Delivery, now: Timestamp) -> Result<(), BackendError> {
        self.inner.complete(delivery, now).await
    }

    async fn fail(&self, delivery: &Delivery, error: &str, now: Timestamp) -> Result<Failed, BackendError> {
        self.inner.fail(delivery, error, now).await
    }

    async fn bury(&self, task: Task, attempts: u32, error: &str, now: Timestamp) -> Result<(), BackendError> {
        self.inner.bury(task, attempts, error, now).await
    }

    async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadTask>, BackendError> {
        self.inner.dead_letters(queue, limit).await
    }

    async fn depth(&self, queue: &str) -> Result<QueueDepth, BackendError> {
        self.inner.depth(queue).await
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.inner.check().await
    }
}
