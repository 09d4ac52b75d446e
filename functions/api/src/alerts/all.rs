//! `GET /api/alerts`: alerts, closed ones included.

#![expect(unused_qualifications, reason = "in what the macro for parameters makes")]

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use threatstream_backend::AlertQuery;
use threatstream_domain::{AlertStatus, Priority, Timestamp};
use threatstream_runtime::{Json, Problem, Query};
use utoipa::IntoParams;

use super::page::{AlertPage, page};
use crate::api::Api;
use crate::list::{Limit, text};
use crate::openapi::schema;

/// Which of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct All {
    /// Of this status.
    #[param(value_type = Option<schema::AlertStatus>)]
    status: Option<AlertStatus>,
    /// Of this priority.
    #[param(value_type = Option<schema::Priority>)]
    priority: Option<Priority>,
    /// In these hands.
    assignee: Option<String>,
    /// `true`: only those that nobody has acknowledged in time.
    overdue: bool,
    /// Changed, by threats or by analysts, at or after.
    #[param(value_type = Option<schema::Time>)]
    updated_since: Option<Timestamp>,
    /// At most this many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 50)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Alerts
#[utoipa::path(get, path = "/api/alerts", tag = "alerts", params(All), responses((status = 200, body = AlertPage)))]
pub(crate) async fn all_alerts(
    State(api): State<Arc<Api>>,
    Query(asked): Query<All>,
) -> Result<Json<AlertPage>, Problem> {
    let query = AlertQuery {
        active: false,
        status: asked.status,
        priority: asked.priority,
        assignee: text(asked.assignee),
        overdue_at: asked.overdue.then(|| api.clock.now()),
        updated_since: asked.updated_since,
        limit: asked.limit.0,
        cursor: text(asked.cursor),
    };
    page(&api, &query).await
}
