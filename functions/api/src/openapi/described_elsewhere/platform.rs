//! The relay's route, the runtime's, and the pages of this document.

#![expect(dead_code, reason = "these functions carry descriptions and are never called")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// The process lives.
#[derive(ToSchema)]
struct Liveness {
    /// `live`
    #[schema(example = "live")]
    status: String,
}

/// Whether the process can take requests, and what it needs for that.
#[derive(ToSchema)]
struct Readiness {
    status: ReadinessStatus,
    /// Which part of the platform this is.
    function: String,
    /// What was asked, and `up` or why it is not.
    probes: BTreeMap<String, String>,
    /// What works in the background.
    workers: BTreeMap<String, WorkerState>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum ReadinessStatus {
    Ready,
    Unready,
    Stopping,
}

/// How a worker is doing.
#[derive(ToSchema)]
struct WorkerState {
    state: WorkerPhase,
    /// In a row.
    failures: u32,
    restarts: u64,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum WorkerPhase {
    Running,
    /// Failed, and waits to be run again.
    Waiting,
    Done,
}

/// Live frames
///
/// A WebSocket with JSON text frames `{type, data?, seq?, epoch?, timestamp?}`. With authentication: the subprotocols `threatstream.v1` and `ticket.<ticket>`,
/// with a ticket of `/api/ws-ticket`.
#[utoipa::path(get, path = "/ws/live", tag = "live", responses((status = 101, description = "The socket is open")))]
fn live() {}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "platform", responses((status = 200, description = "It lives", body = Liveness)))]
fn healthz() {}

/// Whether the process can take requests
#[utoipa::path(
    get, path = "/readyz", tag = "platform",
    responses(
        (status = 200, description = "It can", body = Readiness),
        (status = 503, description = "Something it needs does not answer, or it is stopping", body = Readiness),
    )
)]
fn readyz() {}

/// What is measured, for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "platform",
    responses((
        status = 200, description = "The text format of Prometheus, or OpenMetrics where it is accepted",
        content((String = "text/plain"), (String = "application/openmetrics-text"))
    ))
)]
fn metrics() {}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "platform", responses((status = 200, description = "OpenAPI 3.1")))]
fn openapi_json() {}

/// Swagger UI
#[utoipa::path(get, path = "/docs", tag = "platform", responses((status = 303, description = "The page is at /docs/")))]
fn docs() {}

/// Redoc
#[utoipa::path(get, path = "/redoc", tag = "platform", responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
fn redoc() {}

#[derive(utoipa::OpenApi)]
#[openapi(paths(live, healthz, readyz, metrics, openapi_json, docs, redoc))]
pub(super) struct Described;
