//! What went wrong in an RPC, before it becomes an error of the traits.

use threatstream_backend::{BackendError, CommitError};
use tonic::{Code, Status};

/// How this backend names itself in errors.
pub(crate) const BACKEND: &str = "firestore";

/// A failure of a piece of work on the database.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A document was not as a write demanded, or others wrote it at the same moment: nothing was written. Read again and
    /// decide again.
    Conflict(String),
    /// Anything else.
    Backend(BackendError),
}

impl Fault {
    /// What the status of a commit means.
    pub(crate) fn of_commit(status: &Status) -> Self {
        match status.code() {
            Code::Aborted | Code::AlreadyExists | Code::FailedPrecondition => {
                Self::Conflict(status.message().to_owned())
            }
            // A missing document under a precondition; a missing database is for an administrator.
            Code::NotFound if !is_missing_database(status) => Self::Conflict(status.message().to_owned()),
            _ => Self::Backend(of_read(status)),
        }
    }
}

fn is_missing_database(status: &Status) -> bool {
    let message = status.message();
    message.contains("database") && message.contains("does not exist")
}

/// What the status of anything but a commit means.
pub(crate) fn of_read(status: &Status) -> BackendError {
    let message = match status.message() {
        "" => status.code().to_string(),
        said => format!("{}: {said}", status.code()),
    };
    match status.code() {
        // No quota, but the size of a message: it will not shrink.
        Code::ResourceExhausted if status.message().contains("maximum size") => rejected(message),
        Code::Aborted
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::ResourceExhausted
        | Code::Unauthenticated
        | Code::Unavailable
        | Code::Unknown => unavailable(message),
        _ => rejected(message),
    }
}

impl From<BackendError> for Fault {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Backend(damaged(&error))
    }
}

impl From<Fault> for BackendError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Conflict(message) => unavailable(format!("others kept writing the same documents: {message}")),
            Fault::Backend(error) => error,
        }
    }
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        Self::Backend(fault.into())
    }
}

/// It will never work this way.
pub(crate) fn rejected(message: impl Into<String>) -> BackendError {
    BackendError::Rejected {
        backend: BACKEND,
        message: message.into(),
    }
}

/// It may work later.
pub(crate) fn unavailable(message: impl Into<String>) -> BackendError {
    BackendError::Unavailable {
        backend: BACKEND,
        message: message.into(),
    }
}

/// A stored document is not what this program writes.
pub(crate) fn damaged(error: &serde_json::Error) -> BackendError {
    rejected(format!("a stored document does not read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_whether_to_try_again() {
        for code in [
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::ResourceExhausted,
            Code::Unauthenticated,
        ] {
            assert!(of_read(&Status::new(code, "x")).is_retryable(), "{code}");
        }
        for code in [Code::InvalidArgument, Code::PermissionDenied, Code::FailedPrecondition] {
            assert!(!of_read(&Status::new(code, "x")).is_retryable(), "{code}");
        }
    }

    #[test]
    fn a_broken_precondition_is_a_conflict() {
        for code in [
            Code::FailedPrecondition,
            Code::AlreadyExists,
            Code::Aborted,
            Code::NotFound,
        ] {
            assert!(
                matches!(Fault::of_commit(&Status::new(code, "x")), Fault::Conflict(_)),
                "{code}"
            );
        }
        let missing = Status::not_found("The database (default) does not exist for project p");
        assert!(matches!(
            Fault::of_commit(&missing),
            Fault::Backend(BackendError::Rejected { .. })
        ));
    }
}
