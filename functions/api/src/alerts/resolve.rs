//! `POST /api/alerts/{id}/resolve`: it is over.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use threatstream_domain::{AlertAction, AlertStatus};
use threatstream_runtime::{Path, Principal, Problem};
use utoipa::ToSchema;

use super::step::{Body, author, remark, take};
use crate::api::Api;
use crate::openapi::schema;

/// How it ended.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Resolution {
    /// Who closes it; the caller unless given. With authentication only an admin names another.
    analyst_id: Option<String>,
    /// `RESOLVED` or `FALSE_POSITIVE`; any other text is the closing note of an alert that is resolved.
    resolution: Option<String>,
    /// With what remark.
    notes: Option<String>,
}

/// Close an alert
#[utoipa::path(
    post, path = "/api/alerts/{id}/resolve", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id"), schema::IfMatch),
    request_body = Option<Resolution>,
    responses((status = 200, body = schema::Alert))
)]
pub(crate) async fn resolve_alert(
    State(api): State<Arc<Api>>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(resolution): Body<Resolution>,
) -> Result<Response, Problem> {
    let author = author(resolution.analyst_id, &principal)?;
    let notes = remark("notes", resolution.notes)?;
    let (status, closing) = outcome(remark("resolution", resolution.resolution)?.as_deref());
    let notes = match (closing, notes) {
        (Some(closing), Some(notes)) => Some(format!("{closing}\n{notes}")),
        (closing, notes) => closing.or(notes),
    };
    take(
        &api,
        &headers,
        &id,
        &AlertAction::Resolve(status),
        &author,
        notes.as_deref(),
    )
    .await
}

/// The status that a resolution means, and the note that it is otherwise.
fn outcome(resolution: Option<&str>) -> (AlertStatus, Option<String>) {
    match resolution.map(str::trim) {
        None | Some("RESOLVED") => (AlertStatus::Resolved, None),
        Some("FALSE_POSITIVE") => (AlertStatus::FalsePositive, None),
        Some(text) => (AlertStatus::Resolved, Some(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_other_text_is_a_closing_note() {
        assert_eq!(outcome(None), (AlertStatus::Resolved, None));
        assert_eq!(outcome(Some("FALSE_POSITIVE")), (AlertStatus::FalsePositive, None));
        assert_eq!(
            outcome(Some("blocked at the edge")),
            (AlertStatus::Resolved, Some("blocked at the edge".to_owned()))
        );
    }
}
