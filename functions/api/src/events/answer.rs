//! What a request to hand in events is answered with.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use threatstream_detection::decode::FieldError;
use threatstream_runtime::problem::PROBLEM_JSON;
use threatstream_runtime::{Json, Problem};
use utoipa::ToSchema;

use super::body::BodyKind;

/// At most this many errors are listed.
const LISTED_ERRORS: usize = 100;

/// What became of a body's events.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Taken.
    pub(super) accepted: u64,
    /// Turned away.
    pub(super) rejected: u64,
    /// Why, for the first [`LISTED_ERRORS`] of them.
    reasons: Vec<(u64, Vec<FieldError>)>,
}

/// What was taken and what was not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// Events that the log has now.
    accepted: u64,
    /// Events that were turned away.
    rejected: u64,
    /// Why, by line; the first 100.
    errors: Vec<LineError>,
    /// How many more errors there were.
    #[serde(skip_serializing_if = "is_zero")]
    errors_omitted: u64,
}

/// Why an event was turned away.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineError {
    /// The line of the body, or the place in the array, from 1.
    line: u64,
    /// What is wrong, beginning with the field's name where it is one field.
    message: String,
}

/// A problem with the counts beside it.
#[derive(Serialize)]
struct NothingAccepted {
    #[serde(flatten)]
    problem: Problem,
    accepted: u64,
    rejected: u64,
    #[serde(skip_serializing_if = "is_zero")]
    errors_omitted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Outcome {
    pub(super) fn reject(&mut self, line: u64, errors: Vec<FieldError>) {
        self.rejected += 1;
        if self.reasons.len() < LISTED_ERRORS {
            self.reasons.push((line, errors));
        }
    }

    /// Why the first event that was turned away was.
    pub(super) fn reason(&self) -> Option<String> {
        self.reasons.first().map(|(_, errors)| joined(errors))
    }

    fn omitted(&self) -> u64 {
        self.rejected - self.reasons.len() as u64
    }

    /// 202 when anything was taken, otherwise 400.
    pub(super) fn into_response(self, kind: BodyKind) -> Result<Response, Problem> {
        if self.accepted == 0 {
            return Ok(self.nothing_accepted(kind));
        }
        let errors_omitted = self.omitted();
        let errors = self
            .reasons
            .into_iter()
            .map(|(line, errors)| LineError {
                line,
                message: joined(&errors),
            })
            .collect();
        let answer = Accepted {
            accepted: self.accepted,
            rejected: self.rejected,
            errors,
            errors_omitted,
        };
        Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
    }

    fn nothing_accepted(&self, kind: BodyKind) -> Response {
        let problem = self.problem(kind);
        let status = problem.status();
        let answer = NothingAccepted {
            problem,
            accepted: 0,
            rejected: self.rejected,
            errors_omitted: self.omitted(),
        };
        let mut response = (status, Json(answer)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        response
    }

    /// Why nothing was taken: the fields of a single event, the lines of several.
    pub(super) fn problem(&self, kind: BodyKind) -> Problem {
        if self.rejected == 0 {
            return Problem::bad_request("the body holds no event").field("body", "empty");
        }
        let single = self.rejected == 1 && kind == BodyKind::Json;
        let detail = if self.rejected == 1 {
            "the event cannot be taken"
        } else {
            "none of the events can be taken"
        };
        self.reasons
            .iter()
            .fold(Problem::bad_request(detail), |problem, (line, errors)| {
                errors.iter().fold(problem, |problem, error| {
                    let field = match (single, error.field.as_str()) {
                        (true, "") => "body".to_owned(),
                        (true, field) => field.to_owned(),
                        (false, "") => format!("line {line}"),
                        (false, field) => format!("line {line}: {field}"),
                    };
                    problem.field(field, error.message.as_str())
                })
            })
    }
}

fn joined(errors: &[FieldError]) -> String {
    let texts: Vec<String> = errors
        .iter()
        .map(|FieldError { field, message }| {
            if field.is_empty() {
                message.clone()
            } else {
                format!("{field}: {message}")
            }
        })
        .collect();
    texts.join("; ")
}
