//! `POST /api/alerts/{id}/assign`: it is in somebody's hands.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use threatstream_domain::AlertAction;
use threatstream_runtime::{Path, Principal, Problem};
use utoipa::ToSchema;

use super::step::{Body, author, name_of, remark, take};
use crate::api::Api;
use crate::openapi::schema;

/// Whose it is from now on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Assignment {
    /// Who gives it, and has it from now on unless `assignee` says otherwise; the caller unless given. With authentication only an admin
    /// names another.
    analyst_id: Option<String>,
    /// Who has it from now on, when somebody gives it to another.
    assignee: Option<String>,
    /// With what remark.
    notes: Option<String>,
}

/// Give an alert to an analyst
#[utoipa::path(
    post, path = "/api/alerts/{id}/assign", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id"), schema::IfMatch),
    request_body = Option<Assignment>,
    responses((status = 200, body = schema::Alert))
)]
pub(crate) async fn assign_alert(
    State(api): State<Arc<Api>>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(assignment): Body<Assignment>,
) -> Result<Response, Problem> {
    let author = author(assignment.analyst_id, &principal)?;
    let assignee = match assignment.assignee {
        Some(name) => name_of("assignee", &name)?,
        None => author.name.clone(),
    };
    let notes = remark("notes", assignment.notes)?;
    take(
        &api,
        &headers,
        &id,
        &AlertAction::Assign(assignee),
        &author,
        notes.as_deref(),
    )
    .await
}
