//! `POST /api/alerts/{id}/investigate`: somebody works on it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use threatstream_domain::AlertAction;
use threatstream_runtime::{Path, Principal, Problem};

use super::step::{Body, Step, author, remark, take};
use crate::api::Api;
use crate::openapi::schema;

/// Work on an alert
#[utoipa::path(
    post, path = "/api/alerts/{id}/investigate", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id"), schema::IfMatch),
    request_body = Option<Step>,
    responses((status = 200, body = schema::Alert))
)]
pub(crate) async fn investigate_alert(
    State(api): State<Arc<Api>>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(step): Body<Step>,
) -> Result<Response, Problem> {
    let author = author(step.analyst_id, &principal)?;
    let notes = remark("notes", step.notes)?;
    take(
        &api,
        &headers,
        &id,
        &AlertAction::Investigate,
        &author,
        notes.as_deref(),
    )
    .await
}
