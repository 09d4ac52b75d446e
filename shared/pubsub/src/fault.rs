//! Errors of Pub/Sub as errors of a backend.
//!
//! Refused is what no time mends: a message that is too large, a name that cannot be. A topic that is missing, a role that is not
//! granted yet and credentials that are not accepted are mended by people while the process lives; tasks must outlast that, so that
//! these errors are to be tried again.

use std::error::Error as _;

use google_cloud_gax::client_builder;
use google_cloud_gax::error::rpc::Code as SdkCode;
use google_cloud_pubsub::Error;
use google_cloud_pubsub::error::PublishError;
use threatstream_backend::BackendError;
use tonic::{Code, Status};

const BACKEND: &str = "pubsub";

pub(crate) fn unavailable(message: impl Into<String>) -> BackendError {
    BackendError::Unavailable {
        backend: BACKEND,
        message: message.into(),
    }
}

pub(crate) fn rejected(message: impl Into<String>) -> BackendError {
    BackendError::Rejected {
        backend: BACKEND,
        message: message.into(),
    }
}

/// The error with its causes: an SDK's outermost message says little.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

pub(crate) fn sdk(error: &Error) -> BackendError {
    if is_final(error) {
        rejected(told(error))
    } else {
        unavailable(told(error))
    }
}

pub(crate) fn publishing(error: &PublishError) -> BackendError {
    match error {
        PublishError::Rpc(error) => sdk(error),
        other => unavailable(told(other)),
    }
}

pub(crate) fn building(error: &client_builder::Error) -> BackendError {
    unavailable(told(error))
}

pub(crate) fn status(status: &Status) -> BackendError {
    let mut message = format!("{:?}: {}", status.code(), status.message());
    if let Some(source) = status.source() {
        message = format!("{message}: {}", told(source));
    }
    match status.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => rejected(message),
        _ => unavailable(message),
    }
}

fn is_final(error: &Error) -> bool {
    match error.status() {
        Some(status) => matches!(
            status.code,
            SdkCode::InvalidArgument | SdkCode::OutOfRange | SdkCode::Unimplemented
        ),
        None => error.is_serialization() || error.is_deserialization() || error.is_binding(),
    }
}

/// Whether the same call may succeed within seconds, so that it is worth another try before the caller hears of it.
pub(crate) fn passes_soon(error: &Error) -> bool {
    match error.status() {
        Some(status) => matches!(
            status.code,
            SdkCode::Unavailable
                | SdkCode::Aborted
                | SdkCode::Cancelled
                | SdkCode::DeadlineExceeded
                | SdkCode::Internal
                | SdkCode::ResourceExhausted
                | SdkCode::Unknown
        ),
        None => !is_final(error),
    }
}

/// As [`passes_soon`], for a call made without the SDK.
pub(crate) fn status_passes_soon(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Aborted
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::ResourceExhausted
            | Code::Unknown
    )
}

#[cfg(test)]
mod tests {
    use google_cloud_gax::error::rpc::Status as SdkStatus;

    use super::*;

    #[test]
    fn what_people_or_time_can_mend_is_tried_again() {
        for (code, sdk_code, again, soon) in [
            (Code::InvalidArgument, SdkCode::InvalidArgument, false, false),
            (Code::Unimplemented, SdkCode::Unimplemented, false, false),
            (Code::NotFound, SdkCode::NotFound, true, false),
            (Code::PermissionDenied, SdkCode::PermissionDenied, true, false),
            (Code::Unauthenticated, SdkCode::Unauthenticated, true, false),
            (Code::Unavailable, SdkCode::Unavailable, true, true),
            (Code::ResourceExhausted, SdkCode::ResourceExhausted, true, true),
        ] {
            let (ours, theirs) = (
                Status::new(code, "why"),
                Error::service(SdkStatus::default().set_code(sdk_code).set_message("why")),
            );
            assert_eq!(status(&ours).is_retryable(), again, "{code:?}");
            assert_eq!(sdk(&theirs).is_retryable(), again, "{code:?}");
            assert_eq!(
                (status_passes_soon(&ours), passes_soon(&theirs)),
                (soon, soon),
                "{code:?}"
            );
            assert!(status(&ours).to_string().contains("why") && sdk(&theirs).to_string().contains("why"));
        }
        assert!(sdk(&Error::io("connection reset")).is_retryable());
    }
}
