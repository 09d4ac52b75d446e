//! The analyzer's routes, which are there unless its stages run as workers.

#![expect(dead_code, reason = "these functions carry descriptions and are never called")]

use utoipa::ToSchema;

/// What a drain came to.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum DrainStatus {
    /// There was nothing to do, and nothing was written.
    Idle,
    /// Everything is done.
    Drained,
    /// Time was up first: the next drain goes on.
    Partial,
    /// What is left is in the hands of others.
    Held,
}

/// What a drain did.
#[derive(ToSchema)]
struct Drained {
    status: DrainStatus,
    /// Another request's drain, which looked once more after this request came, did all of this.
    joined: bool,
    /// Events that went through match.
    events_matched: u64,
    /// Of these, events that a push brought and that were not read from the log.
    events_pushed: u64,
    matches_judged: u64,
    threats_stored: u64,
    /// Partitions that have something to do and are held by others.
    partitions_held: usize,
    /// Records of both topics that are not analysed.
    pending: u64,
    duration_ms: u64,
}

/// What a push came to.
#[derive(ToSchema)]
struct PushWorked {
    /// Values that were appended to the log first.
    appended: usize,
    /// What was neither a record nor a value.
    dead_lettered: usize,
    #[serde(flatten)]
    #[schema(inline)]
    drain: Drained,
}

/// A record as a connector sends it.
#[derive(ToSchema)]
struct ConnectorRecord {
    #[schema(value_type = Option<Object>)]
    key: Option<()>,
    /// Text, an object, or base64 of an envelope.
    #[schema(value_type = Object)]
    value: (),
    topic: Option<String>,
    partition: Option<u32>,
    offset: Option<u64>,
    /// Milliseconds since 1970, or RFC 3339.
    #[schema(value_type = Option<Object>)]
    timestamp: Option<()>,
}

/// Analyse what is there
///
/// A wake-up (Pub/Sub) or a schedule's call (Cloud Scheduler); the body is not looked at. Answered when nothing is left, or before the request's time
/// is up.
#[utoipa::path(post, path = "/drain", tag = "events", responses((status = 200, description = "What it did", body = Drained)))]
fn drain() {}

/// Analyse what a connector brings
///
/// Confluent's sinks for functions and for HTTP: an array of records, one record, an array of values, or one value. Where the analyzer is deployed
/// for that (`ANALYZER_MODE=push`).
#[utoipa::path(
    post, path = "/", tag = "events", request_body = Vec<ConnectorRecord>,
    responses((status = 200, description = "What it did", body = PushWorked))
)]
fn push() {}

#[derive(utoipa::OpenApi)]
#[openapi(paths(drain, push))]
pub(super) struct Described;
