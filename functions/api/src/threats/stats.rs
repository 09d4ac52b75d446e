//! `GET /api/threats/stats/summary`: how many threats there are, by severity and type.

use std::sync::Arc;

use axum::extract::State;
use threatstream_backend::ThreatStats;
use threatstream_runtime::{Json, Problem};

use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// How many threats there are
#[utoipa::path(get, path = "/api/threats/stats/summary", tag = "threats", responses((status = 200, body = schema::ThreatStats)))]
pub(crate) async fn threat_statistics(State(api): State<Arc<Api>>) -> Result<Json<ThreatStats>, Problem> {
    api.backends
        .store
        .threat_stats()
        .await
        .map(Json)
        .map_err(failure::backend)
}
