//! `POST /tasks/respond`: a task that a queue pushes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use threatstream_runtime::{CancellationToken, Json, Problem};

use super::unavailable;
use crate::execution::{Engine, RunError};
use crate::task::Work;

/// A task as its queue knows it.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    id: String,
    payload: Value,
}

/// 204 when the work is done; anything else makes the queue send it again, until it gives up.
pub(super) async fn respond(State(engine): State<Arc<Engine>>, Json(body): Json<Body>) -> Result<StatusCode, Problem> {
    let worked = match Work::parse(&body.payload) {
        Ok(work) => work.perform(&engine, &CancellationToken::new()).await,
        Err(error) => Err(error),
    };
    worked.map(|()| StatusCode::NO_CONTENT).map_err(|error| {
        tracing::warn!(task_id = body.id, retryable = error.is_retryable(), %error, "pushed task failed");
        match error {
            RunError::Payload(message) => {
                Problem::unprocessable("the task is not understood").field("payload", message)
            }
            RunError::NoExecution(_) | RunError::NoThreat(_) => Problem::not_found(error.to_string()),
            RunError::Backend(error) => unavailable(&error),
            RunError::Busy(_) | RunError::Postponed(_) | RunError::Contended(_) => {
                Problem::unavailable(error.to_string(), Duration::from_secs(10))
            }
        }
    })
}
