//! `GET /api/analytics/dashboard`: counters; null and empty where nothing was measured.

use std::sync::Arc;

use axum::extract::State;
use threatstream_backend::views::{self, DashboardStats};
use threatstream_runtime::{Json, Problem};

use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// The dashboard's counters
#[utoipa::path(get, path = "/api/analytics/dashboard", tag = "analytics", responses((status = 200, body = schema::DashboardStats)))]
pub(crate) async fn dashboard(State(api): State<Arc<Api>>) -> Result<Json<DashboardStats>, Problem> {
    views::dashboard(&api.backends, api.clock.now())
        .await
        .map(Json)
        .map_err(failure::backend)
}
