//! Why an execution did not get to its end now.

use threatstream_backend::BackendError;

/// Why work on an execution stopped before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Another worker is at a step that touches the outside, or was until a moment ago: try again later.
    #[error("execution {0} is at work elsewhere, or was until a moment ago")]
    Busy(String),
    /// The process is stopping: try again.
    #[error("execution {0} was put off because the process is stopping")]
    Postponed(String),
    /// Others keep changing it: try again.
    #[error("execution {0} keeps being changed by others")]
    Contended(String),
    /// There is no such execution.
    #[error("there is no execution {0}")]
    NoExecution(String),
    /// There is no such threat.
    #[error("there is no threat {0}")]
    NoThreat(String),
    /// The task says nothing that can be done.
    #[error("the task's payload is not understood: {0}")]
    Payload(String),
    /// The store failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl RunError {
    /// True when the same task can succeed later.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Busy(_) | Self::Postponed(_) | Self::Contended(_) => true,
            Self::NoExecution(_) | Self::NoThreat(_) | Self::Payload(_) => false,
            Self::Backend(error) => error.is_retryable(),
        }
    }
}
