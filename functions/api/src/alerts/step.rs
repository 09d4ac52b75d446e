//! What all steps of an analyst have in common: who takes it, on which version, and the saving.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use threatstream_domain::{AlertAction, truncated};
use threatstream_runtime::extract::body_problem;
use threatstream_runtime::{Json, Principal, Problem};
use utoipa::ToSchema;

use super::version::if_match;
use super::{shown, unknown};
use crate::api::Api;
use crate::failure;

/// The longest name of an analyst, in bytes.
const MAX_NAME: usize = 200;
/// The longest remark, in bytes.
const MAX_NOTES: usize = 16 * 1024;
/// How often a step is tried again when somebody else changed the alert meanwhile.
const ATTEMPTS: usize = 10;

/// A step without anything of its own.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Step {
    /// Who takes it; the caller's own name unless given.
    pub(super) analyst_id: Option<String>,
    /// With what remark.
    pub(super) notes: Option<String>,
}

/// A JSON body, or no body at all.
pub(crate) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state)
            .await
            .map_err(|rejection| body_problem(&rejection))?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let Json(value) = Json::from_request(Request::from_parts(parts, bytes.into()), state).await?;
        Ok(Self(value))
    }
}

/// Who takes the step.
pub(super) fn analyst(given: Option<String>, principal: &Principal) -> Result<String, Problem> {
    match given {
        Some(name) => name_of("analyst_id", &name),
        None => Ok(principal.name.to_string()),
    }
}

/// A person's name, as a timeline can show it.
pub(super) fn name_of(field: &str, name: &str) -> Result<String, Problem> {
    let trimmed = name.trim();
    if trimmed.is_empty() || trimmed.len() > MAX_NAME || trimmed.chars().any(char::is_control) {
        return Err(not_allowed().field(
            field,
            format!("expected 1 to {MAX_NAME} bytes without control characters"),
        ));
    }
    Ok(trimmed.to_owned())
}

/// A remark; blank is none.
pub(super) fn remark(field: &str, notes: Option<String>) -> Result<Option<String>, Problem> {
    match notes.filter(|notes| !notes.trim().is_empty()) {
        Some(notes) if notes.len() > MAX_NOTES => {
            let begin = truncated(&notes, 40).to_owned();
            Err(not_allowed().field(
                field,
                format!("at most {MAX_NOTES} bytes; this one begins with {begin:?}"),
            ))
        }
        notes => Ok(notes),
    }
}

pub(super) fn not_allowed() -> Problem {
    Problem::unprocessable("the body has a value that is not allowed")
}

/// Takes a step and saves it. With `If-Match` only on that version (412); without, on whatever version there is.
///
/// # Errors
/// 404, 409 for a step backwards, 412.
pub(super) async fn take(
    api: &Api,
    headers: &HeaderMap,
    id: &str,
    action: &AlertAction,
    analyst: &str,
    notes: Option<&str>,
) -> Result<Response, Problem> {
    let wanted = if_match(headers)?;
    let store = &api.backends.store;
    for _ in 0..ATTEMPTS {
        let alert = store
            .alert(id)
            .await
            .map_err(failure::backend)?
            .ok_or_else(|| unknown(id))?;
        let version = alert.case.version;
        if wanted.is_some_and(|wanted| wanted != version) {
            return Err(Problem::precondition_failed("the alert was changed meanwhile")
                .field("if-match", format!("the alert is at version {version}")));
        }
        let now = api.clock.now();
        let mut case = alert.case.clone();
        let changed = case.apply(action, analyst, notes, now).map_err(|refused| {
            Problem::conflict(refused.to_string()).field("status", format!("the alert is {}", refused.from))
        })?;
        if !changed {
            return Ok(shown(alert));
        }
        if let Some(alert) = store
            .save_case(id, version, case, now)
            .await
            .map_err(failure::backend)?
        {
            tracing::info!(
                alert = id,
                analyst,
                status = alert.case.status.as_str(),
                "an analyst worked on an alert"
            );
            return Ok(shown(alert));
        }
    }
    Err(Problem::conflict("the alert is being changed by others; try again"))
}
