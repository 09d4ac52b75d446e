//! The relay's route, the runtime's, and the pages of this document.

#![expect(dead_code, reason = "these functions carry descriptions and are never called")]

/// Live frames
///
/// A WebSocket with JSON text frames `{type, data?, seq?, epoch?, timestamp?}`. With authentication: the subprotocols `threatstream.v1` and `ticket.<ticket>`,
/// with a ticket of `/api/ws-ticket`.
#[utoipa::path(get, path = "/ws/live", tag = "live", responses((status = 101, description = "The socket is open")))]
fn live() {}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "platform", responses((status = 200, description = "It lives")))]
fn healthz() {}

/// Whether the process can take requests
#[utoipa::path(
    get, path = "/readyz", tag = "platform",
    responses((status = 200, description = "It can"), (status = 503, description = "Something it needs does not answer"))
)]
fn readyz() {}

/// What is measured, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "platform", responses((status = 200, description = "OpenMetrics text", body = String, content_type = "text/plain")))]
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
