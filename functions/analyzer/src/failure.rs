//! What a failing stage is answered with. What it said goes to the log, not to the caller.

use std::time::Duration;

use threatstream_backend::BackendError;
use threatstream_runtime::Problem;

use crate::StageError;

/// 503 when the same request can succeed later, so that whoever sent it sends it again; otherwise 500.
pub(crate) fn problem(error: &StageError) -> Problem {
    tracing::warn!(%error, "a request to analyse failed");
    let wait = match error {
        StageError::Backend(BackendError::Full { .. }) => Duration::from_secs(30),
        StageError::Backend(error) if !error.is_retryable() => {
            return Problem::internal("a backend refuses to work; the analyzer's log says why");
        }
        StageError::State(_) => {
            return Problem::internal("the saved state of a partition cannot be read; the analyzer's log says which");
        }
        StageError::Backend(_) | StageError::Contested(_) | StageError::Stopping => Duration::from_secs(2),
    };
    Problem::unavailable("the analysis could not go on; what is done stays done", wait)
}
