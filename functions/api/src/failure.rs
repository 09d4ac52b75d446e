//! What a failing backend is answered with. What it said goes to the log, not to the caller.

use std::time::Duration;

use threatstream_backend::BackendError;
use threatstream_runtime::Problem;

/// The problem of a failing backend: 503 when trying again can help, otherwise 500.
pub(crate) fn backend(error: BackendError) -> Problem {
    match error {
        BackendError::Unavailable { backend, message } => {
            tracing::warn!(backend, message, "a backend is unavailable");
            Problem::unavailable("what is needed for this does not answer now", Duration::from_secs(2))
        }
        BackendError::Full { backend, message } => {
            tracing::warn!(backend, message, "a backend is full");
            Problem::unavailable(
                "there is no room for more now; nothing was taken",
                Duration::from_secs(30),
            )
        }
        BackendError::Rejected { backend, message } => {
            tracing::error!(backend, message, "a backend refused");
            Problem::internal("the request could not be processed")
        }
    }
}

/// The problem of a failing list: a cursor that the store did not give is the caller's mistake.
pub(crate) fn listing(error: BackendError, cursor: bool) -> Problem {
    match error {
        BackendError::Rejected { .. } if cursor => {
            Problem::bad_request("the query has a parameter that is not allowed")
                .field("cursor", "expected a next_cursor of this list, unchanged")
        }
        error => backend(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_inside_is_told() {
        let message = || "disk /dev/sda1 is broken".to_owned();
        for (error, status) in [
            (
                BackendError::Unavailable {
                    backend: "embedded",
                    message: message(),
                },
                503,
            ),
            (
                BackendError::Full {
                    backend: "embedded",
                    message: message(),
                },
                503,
            ),
            (
                BackendError::Rejected {
                    backend: "embedded",
                    message: message(),
                },
                500,
            ),
        ] {
            let problem = backend(error);
            assert_eq!(problem.status().as_u16(), status);
            assert!(!problem.to_string().contains("sda1"));
        }
        assert_eq!(
            listing(
                BackendError::Rejected {
                    backend: "embedded",
                    message: message()
                },
                true
            )
            .status()
            .as_u16(),
            400
        );
    }
}
