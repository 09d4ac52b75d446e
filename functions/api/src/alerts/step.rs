//! What all steps of an analyst have in common: who takes it, on which version, and the saving.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use threatstream_domain::{AlertAction, AlertCase, InvalidTransition, truncated};
use threatstream_runtime::extract::body_problem;
use threatstream_runtime::{Json, Principal, Problem, Role};
use utoipa::ToSchema;

use super::version::if_match;
use super::{shown, unknown};
use crate::api::Api;
use crate::failure;

/// The longest name of an analyst, in bytes.
const MAX_NAME: usize = 200;
/// How often a step is tried again when somebody else changed the alert meanwhile.
const ATTEMPTS: usize = 10;

/// A step without anything of its own.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Step {
    /// Who takes it; the caller unless given. With authentication only an admin names another.
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

/// Whose step it is.
#[derive(Debug)]
pub(super) struct Author {
    /// The name it is signed with.
    pub(super) name: String,
    /// Who sent the request.
    principal: Arc<str>,
}

/// Who takes the step: the caller, or whom an admin names. Without authentication every caller is admin, and names whom they like.
///
/// # Errors
/// 403 for somebody else's name, 422 for what is no name.
pub(super) fn author(given: Option<String>, principal: &Principal) -> Result<Author, Problem> {
    let name = match given {
        Some(name) => name_of("analyst_id", &name)?,
        None => principal.name.to_string(),
    };
    if name != *principal.name && !principal.role.allows(Role::Admin) {
        return Err(
            Problem::forbidden("a step is signed by who takes it; only an admin signs for another").field(
                "analyst_id",
                format!("expected {}, or none", truncated(&principal.name, 100)),
            ),
        );
    }
    Ok(Author {
        name,
        principal: principal.name.clone(),
    })
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
        Some(notes) if notes.len() > AlertCase::MAX_NOTE_BYTES => {
            let begin = truncated(&notes, 40).to_owned();
            Err(not_allowed().field(
                field,
                format!(
                    "at most {} bytes; this one begins with {begin:?}",
                    AlertCase::MAX_NOTE_BYTES
                ),
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
/// 404, 409 for a step backwards or notes that are full, 412, 422 for a note that is too long.
pub(super) async fn take(
    api: &Api,
    headers: &HeaderMap,
    id: &str,
    action: &AlertAction,
    author: &Author,
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
        let changed = case
            .apply(action, &author.name, notes, now)
            .map_err(|error| refused(&error))?;
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
                analyst = author.name,
                principal = &*author.principal,
                status = alert.case.status.as_str(),
                "an analyst worked on an alert"
            );
            return Ok(shown(alert));
        }
    }
    Err(Problem::conflict("the alert is being changed by others; try again"))
}

/// A step that does not fit, as clients see it.
fn refused(error: &InvalidTransition) -> Problem {
    match error {
        InvalidTransition::Backwards { from, .. } => {
            Problem::conflict(error.to_string()).field("status", format!("the alert is {from}"))
        }
        InvalidTransition::NoteTooLong { .. } => not_allowed().field("notes", error.to_string()),
        InvalidTransition::NotesFull => {
            Problem::conflict(error.to_string()).field("notes", "there is no room for another note or assignment")
        }
    }
}
