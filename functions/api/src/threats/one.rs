//! `GET /api/threats/{id}`: one threat with its evidence.

use std::sync::Arc;

use axum::extract::State;
use threatstream_domain::Threat;
use threatstream_runtime::{Json, Path, Problem};

use super::unknown;
use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// One threat
#[utoipa::path(
    get, path = "/api/threats/{id}", tag = "threats",
    params(("id" = String, Path, description = "The threat's id", example = "THR-0123456789abcdef0123")),
    responses((status = 200, body = schema::Threat))
)]
pub(crate) async fn one_threat(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Threat>, Problem> {
    let threat = api.backends.store.threat(&id).await.map_err(failure::backend)?;
    threat.map(Json).ok_or_else(|| unknown(&id))
}
