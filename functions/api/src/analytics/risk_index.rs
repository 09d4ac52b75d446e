//! `GET /api/analytics/risk-index`: one number for how bad the last hour was.

use std::sync::Arc;

use axum::extract::State;
use threatstream_backend::views;
use threatstream_domain::RiskIndex;
use threatstream_runtime::{Json, Problem};

use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// The risk now
#[utoipa::path(get, path = "/api/analytics/risk-index", tag = "analytics", responses((status = 200, body = schema::RiskIndex)))]
pub(crate) async fn risk_index(State(api): State<Arc<Api>>) -> Result<Json<RiskIndex>, Problem> {
    views::risk(&*api.backends.store, api.clock.now())
        .await
        .map(Json)
        .map_err(failure::backend)
}
