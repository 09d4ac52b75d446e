//! `GET /api/analytics/timeline`: the risk of the last hour.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use threatstream_backend::views::{self, TimelinePoint};
use threatstream_runtime::{Json, Problem};
use utoipa::ToSchema;

use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// The risk of the last hour.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Timeline {
    /// A point a minute, oldest first; the last one is now.
    #[schema(value_type = Vec<schema::TimelinePoint>)]
    timeline: Vec<TimelinePoint>,
}

/// The risk of the last hour
#[utoipa::path(get, path = "/api/analytics/timeline", tag = "analytics", responses((status = 200, body = Timeline)))]
pub(crate) async fn timeline(State(api): State<Arc<Api>>) -> Result<Json<Timeline>, Problem> {
    let timeline = views::risk_timeline(&*api.backends.store, api.clock.now())
        .await
        .map_err(failure::backend)?;
    Ok(Json(Timeline { timeline }))
}
