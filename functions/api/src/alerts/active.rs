//! `GET /api/alerts/active`: alerts that are not closed.

#![expect(unused_qualifications, reason = "in what the macro for parameters makes")]

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use threatstream_backend::AlertQuery;
use threatstream_domain::Priority;
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
pub(crate) struct Active {
    /// Of this priority.
    #[param(value_type = Option<schema::Priority>)]
    priority: Option<Priority>,
    /// In these hands.
    assignee: Option<String>,
    /// At most this many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 50)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Alerts that are not closed
#[utoipa::path(get, path = "/api/alerts/active", tag = "alerts", params(Active), responses((status = 200, body = AlertPage)))]
pub(crate) async fn active_alerts(
    State(api): State<Arc<Api>>,
    Query(asked): Query<Active>,
) -> Result<Json<AlertPage>, Problem> {
    let query = AlertQuery {
        active: true,
        priority: asked.priority,
        assignee: text(asked.assignee),
        limit: asked.limit.0,
        cursor: text(asked.cursor),
        ..AlertQuery::default()
    };
    page(&api, &query).await
}
