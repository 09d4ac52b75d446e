//! `GET /api/threats/{id}/events`: the originals that made a threat.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use threatstream_domain::Original;
use threatstream_runtime::{Json, Path, Problem};
use utoipa::ToSchema;

use super::unknown;
use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// The originals behind a threat.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThreatEvents {
    /// Which threat.
    threat_id: String,
    /// Oldest first; at most 20, each cut to 4 KiB.
    #[schema(value_type = Vec<schema::Original>)]
    events: Vec<Original>,
    /// How many are listed.
    count: usize,
}

/// The events behind a threat
#[utoipa::path(
    get, path = "/api/threats/{id}/events", tag = "threats",
    params(("id" = String, Path, description = "The threat's id")),
    responses((status = 200, body = ThreatEvents))
)]
pub(crate) async fn threat_events(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<ThreatEvents>, Problem> {
    let events = api
        .backends
        .store
        .originals(&id)
        .await
        .map_err(failure::backend)?
        .ok_or_else(|| unknown(&id))?;
    Ok(Json(ThreatEvents {
        threat_id: id,
        count: events.len(),
        events,
    }))
}
