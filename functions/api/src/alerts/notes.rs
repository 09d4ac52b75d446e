//! `POST /api/alerts/{id}/notes`: a remark alone.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use threatstream_domain::AlertAction;
use threatstream_runtime::{Path, Principal, Problem};

use super::step::{Body, Step, author, not_allowed, remark, take};
use crate::api::Api;
use crate::openapi::schema;

/// Write a note
#[utoipa::path(
    post, path = "/api/alerts/{id}/notes", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id"), schema::IfMatch),
    request_body = Step,
    responses((status = 200, body = schema::Alert))
)]
pub(crate) async fn note_alert(
    State(api): State<Arc<Api>>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(step): Body<Step>,
) -> Result<Response, Problem> {
    let author = author(step.analyst_id, &principal)?;
    let notes =
        remark("notes", step.notes)?.ok_or_else(|| not_allowed().field("notes", "expected the text of the note"))?;
    take(&api, &headers, &id, &AlertAction::Note, &author, Some(&notes)).await
}
