//! The shapes of what the domain's types serialise to; the domain itself knows nothing of HTTP. Tests hold them to real samples.

#![expect(dead_code, reason = "these types are described, never made")]

mod alerts;
mod analytics;
mod names;
mod platform;
mod responses;
mod threats;

use utoipa::{IntoParams, ToSchema};

pub(crate) use alerts::*;
pub(crate) use analytics::*;
pub(crate) use names::*;
pub(crate) use platform::*;
pub(crate) use responses::*;
pub(crate) use threats::*;

/// Which version of the alert the change is meant for.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfMatch {
    /// The alert's `version`, or its `ETag` (`"3"` and `W/"3"` say the same): the change is refused (412) when somebody was faster.
    #[param(rename = "If-Match", example = "\"3\"")]
    if_match: Option<String>,
}

/// An error, as RFC 9457 has it.
#[derive(ToSchema)]
pub(crate) struct Problem {
    /// What kind it is; `about:blank` says no more than the status does.
    r#type: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened, for people.
    detail: String,
    /// What is wrong with which field.
    errors: Option<Vec<FieldError>>,
}

/// What is wrong with a field.
#[derive(ToSchema)]
pub(crate) struct FieldError {
    /// The field of the body, the parameter or the header.
    field: String,
    /// What is wrong with it, and what is allowed.
    message: String,
}

/// A problem with counts: nothing could be taken.
#[derive(ToSchema)]
pub(crate) struct NothingAccepted {
    /// What kind it is.
    r#type: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened, for people.
    detail: String,
    /// What is wrong with which field; of several events, the field is preceded by the line.
    errors: Option<Vec<FieldError>>,
    /// 0
    accepted: u64,
    /// Events that were turned away.
    rejected: u64,
    /// How many more errors there were.
    errors_omitted: Option<u64>,
}

/// One of the platform's own events. Other JSON is taken too, and read by the decoder that knows it.
#[derive(ToSchema)]
pub(crate) struct NativeEvent {
    /// The sender's id; an event is a duplicate when id and content were seen before.
    event_id: Option<String>,
    /// When it happened; the time of arrival counts without one.
    timestamp: Option<Time>,
    /// What the sender calls it.
    #[schema(example = "brute_force")]
    event_type: Option<String>,
    #[schema(example = "203.0.113.7")]
    source_ip: Option<String>,
    #[schema(example = "10.0.0.5")]
    destination_ip: Option<String>,
    #[schema(example = 22)]
    destination_port: Option<u16>,
    #[schema(example = "TCP")]
    protocol: Option<String>,
    /// What to judge it by.
    #[schema(value_type = Option<Object>, example = json!({"attempts": 50, "username": "root"}))]
    payload: Option<()>,
    /// Whatever the sender adds; it never decides a severity.
    #[schema(value_type = Option<Object>)]
    metadata: Option<()>,
}
