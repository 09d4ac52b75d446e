//! `GET /api/analytics/summary`: everything that a dashboard opens with.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use threatstream_backend::ThreatStats;
use threatstream_backend::views::{self, DashboardStats, TimelinePoint};
use threatstream_domain::RiskIndex;
use threatstream_runtime::{Json, Problem};
use utoipa::ToSchema;

use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// Everything that a dashboard opens with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Summary {
    #[schema(value_type = schema::DashboardStats)]
    dashboard_stats: DashboardStats,
    #[schema(value_type = schema::RiskIndex)]
    risk_index: RiskIndex,
    #[schema(value_type = Vec<schema::TimelinePoint>)]
    risk_timeline: Vec<TimelinePoint>,
    #[schema(value_type = schema::ThreatStats)]
    threat_stats: ThreatStats,
}

/// Everything that a dashboard opens with
#[utoipa::path(get, path = "/api/analytics/summary", tag = "analytics", responses((status = 200, body = Summary)))]
pub(crate) async fn summary(State(api): State<Arc<Api>>) -> Result<Json<Summary>, Problem> {
    let now = api.clock.now();
    let store = &*api.backends.store;
    let (dashboard_stats, risk_index, risk_timeline, threat_stats) = tokio::try_join!(
        views::dashboard(&api.backends, now),
        views::risk(store, now),
        views::risk_timeline(store, now),
        store.threat_stats(),
    )
    .map_err(failure::backend)?;
    Ok(Json(Summary {
        dashboard_stats,
        risk_index,
        risk_timeline,
        threat_stats,
    }))
}
