//! What goes wrong in a backend, and whether trying again can help.

/// An error of a log, a store or a task queue.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Not reachable or too slow now: try again with backoff. The operation may have been applied.
    #[error("{backend} is unavailable: {message}")]
    Unavailable {
        /// Which backend, as `embedded` or `kafka`.
        backend: &'static str,
        /// What it said.
        message: String,
    },
    /// The disk's or the quota's cap is reached: nothing was written; try again when there is room.
    #[error("{backend} is full: {message}")]
    Full {
        /// Which backend.
        backend: &'static str,
        /// Which cap.
        message: String,
    },
    /// It will never work this way: do not try again.
    #[error("{backend} refused: {message}")]
    Rejected {
        /// Which backend.
        backend: &'static str,
        /// Why.
        message: String,
    },
}

impl BackendError {
    /// True when the same call can succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::Rejected { .. })
    }
}

/// Why a commit was not made. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another holds the partition, or its checkpoint moved: everything in memory about the partition is to be thrown away.
    #[error("the partition is held by another, or its checkpoint has moved")]
    Refused,
    /// Analysts changed these alerts since they were read: read them again and judge the batch again.
    #[error("alerts were changed meanwhile: {}", .0.join(", "))]
    AlertsChanged(Vec<String>),
    /// The store failed. An unavailable store may have applied the commit: send the same commit again, its `batch_id` tells.
    #[error(transparent)]
    Backend(#[from] BackendError),
}
