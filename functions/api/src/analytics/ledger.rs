//! `GET /api/analytics/ledger`: where every event went.

use std::sync::Arc;

use axum::extract::State;
use threatstream_backend::views;
use threatstream_domain::Ledger;
use threatstream_runtime::{Json, Problem};

use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// Where every event went
#[utoipa::path(get, path = "/api/analytics/ledger", tag = "analytics", responses((status = 200, body = schema::Ledger)))]
pub(crate) async fn ledger(State(api): State<Arc<Api>>) -> Result<Json<Ledger>, Problem> {
    views::ledger(&api.backends, api.clock.now())
        .await
        .map(Json)
        .map_err(failure::backend)
}
