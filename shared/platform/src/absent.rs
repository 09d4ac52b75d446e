//! What stands for a backend that a function does not need: it refuses whatever is asked of it.

use std::time::Duration;

use async_trait::async_trait;
use threatstream_backend::{
    BackendError, ClusterInfo, DeadTask, Delivery, Durability, EventLog, Failed, LogReader, Position, QueueDepth,
    Record, Task, TaskQueue, Watermarks,
};
use threatstream_domain::Timestamp;

/// No event log.
pub(crate) struct NoLog;

/// No task queue.
pub(crate) struct NoQueue;

fn no_log<T>() -> Result<T, BackendError> {
    Err(BackendError::Rejected {
        backend: "none",
        message: "this function was started without an event log".to_owned(),
    })
}

fn no_queue<T>() -> Result<T, BackendError> {
    Err(BackendError::Rejected {
        backend: "none",
        message: "this function was started without a task queue".to_owned(),
    })
}

#[async_trait]
impl EventLog for NoLog {
    async fn partitions(&self, _: &str) -> Result<u32, BackendError> {
        no_log()
    }

    async fn append(&self, _: &str, _: Vec<Record>, _: Durability) -> Result<Vec<Position>, BackendError> {
        no_log()
    }

    async fn open(&self, _: &str, _: &[(u32, u64)]) -> Result<Box<dyn LogReader>, BackendError> {
        no_log()
    }

    async fn watermarks(&self, _: &str) -> Result<Vec<Watermarks>, BackendError> {
        no_log()
    }

    async fn cluster(&self, _: &[String]) -> Result<ClusterInfo, BackendError> {
        no_log()
    }

    async fn report_progress(&self, _: &str, _: &[(u32, u64)]) -> Result<(), BackendError> {
        no_log()
    }

    async fn check(&self) -> Result<(), BackendError> {
        no_log()
    }
}

#[async_trait]
impl TaskQueue for NoQueue {
    async fn enqueue(&self, _: Vec<Task>, _: Timestamp) -> Result<(), BackendError> {
        no_queue()
    }

    async fn take(
        &self,
        _: &str,
        _: usize,
        _: Duration,
        _: Timestamp,
        _: Duration,
    ) -> Result<Vec<Delivery>, BackendError> {
        no_queue()
    }

    async fn complete(&self, _: &Delivery, _: Timestamp) -> Result<(), BackendError> {
        no_queue()
    }

    async fn fail(&self, _: &Delivery, _: &str, _: Timestamp) -> Result<Failed, BackendError> {
        no_queue()
    }

    async fn bury(&self, _: Task, _: u32, _: &str, _: Timestamp) -> Result<(), BackendError> {
        no_queue()
    }

    async fn dead_letters(&self, _: &str, _: usize) -> Result<Vec<DeadTask>, BackendError> {
        no_queue()
    }

    async fn depth(&self, _: &str) -> Result<QueueDepth, BackendError> {
        no_queue()
    }

    async fn check(&self) -> Result<(), BackendError> {
        no_queue()
    }
}
