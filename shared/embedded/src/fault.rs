//! What went wrong inside, before it becomes an error of the traits.

use rusqlite::ErrorCode;
use threatstream_backend::BackendError;

/// How this backend names itself in errors.
pub(crate) const BACKEND: &str = "embedded";

/// A failure of a piece of work on the database.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// We did.
    Backend(BackendError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<BackendError> for Fault {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Backend(rejected(format!("a stored document does not read: {error}")))
    }
}

impl From<Fault> for BackendError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Backend(error) => error,
            Fault::Sqlite(error) => from_sqlite(&error),
        }
    }
}

impl From<Fault> for threatstream_backend::CommitError {
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

/// There is no room.
pub(crate) fn full(message: impl Into<String>) -> BackendError {
    BackendError::Full {
        backend: BACKEND,
        message: message.into(),
    }
}

/// The same error for one more caller.
pub(crate) fn again(error: &BackendError) -> BackendError {
    match error {
        BackendError::Unavailable { message, .. } => unavailable(message.clone()),
        BackendError::Full { message, .. } => full(message.clone()),
        BackendError::Rejected { message, .. } => rejected(message.clone()),
    }
}

/// What an error of SQLite means to a caller: a full disk is `Full`; a damaged file, or a statement that cannot work, will
/// never work; what the system could not do now, it may do later.
pub(crate) fn from_sqlite(error: &rusqlite::Error) -> BackendError {
    let message = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => full(message),
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::SchemaChanged
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied,
        ) => unavailable(message),
        _ => rejected(message),
    }
}

/// As SQLite keeps it. Counters and offsets stay far below 2^63.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// As it was before SQLite kept it.
pub(crate) fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_whether_to_try_again() {
        let of = |code| {
            from_sqlite(&rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(code),
                Some("x".to_owned()),
            ))
        };
        assert!(matches!(of(rusqlite::ffi::SQLITE_FULL), BackendError::Full { .. }));
        assert!(matches!(
            of(rusqlite::ffi::SQLITE_BUSY),
            BackendError::Unavailable { .. }
        ));
        assert!(matches!(
            of(rusqlite::ffi::SQLITE_IOERR_WRITE),
            BackendError::Unavailable { .. }
        ));
        assert!(matches!(
            of(rusqlite::ffi::SQLITE_CORRUPT),
            BackendError::Rejected { .. }
        ));
        assert!(!of(rusqlite::ffi::SQLITE_CONSTRAINT).is_retryable());
    }
}
