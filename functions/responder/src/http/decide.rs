//! `POST /api/playbooks/executions/{id}/approve`, `/decline` and `/rollback`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use threatstream_domain::{Execution, truncated};
use threatstream_runtime::{Json, Path, Principal, Problem};

use super::{id, unavailable};
use crate::execution::{DecideError, Engine};

/// 202: it runs as a task of the queue.
pub(super) async fn approve(
    State(engine): State<Arc<Engine>>,
    principal: Option<Principal>,
    Path(execution_id): Path<String>,
) -> Result<(StatusCode, Json<Execution>), Problem> {
    let decided = engine.approve(known(&execution_id)?, by(principal.as_ref())).await;
    decided
        .map(|execution| (StatusCode::ACCEPTED, Json(execution)))
        .map_err(problem)
}

pub(super) async fn decline(
    State(engine): State<Arc<Engine>>,
    principal: Option<Principal>,
    Path(execution_id): Path<String>,
) -> Result<Json<Execution>, Problem> {
    engine
        .decline(known(&execution_id)?, by(principal.as_ref()))
        .await
        .map(Json)
        .map_err(problem)
}

pub(super) async fn roll_back(
    State(engine): State<Arc<Engine>>,
    principal: Option<Principal>,
    Path(execution_id): Path<String>,
) -> Result<Json<Execution>, Problem> {
    engine
        .roll_back(known(&execution_id)?, by(principal.as_ref()))
        .await
        .map(Json)
        .map_err(problem)
}

fn known(execution_id: &str) -> Result<&str, Problem> {
    id(execution_id).ok_or_else(|| Problem::not_found("there is no such execution"))
}

/// Who decides, as the authentication knows them.
fn by(principal: Option<&Principal>) -> &str {
    principal.map_or("local", |principal| truncated(&principal.name, 200))
}

fn problem(error: DecideError) -> Problem {
    match error {
        DecideError::NoExecution(_) => Problem::not_found("there is no such execution"),
        DecideError::Conflict(reason) => Problem::conflict(reason),
        DecideError::Backend(error) => unavailable(&error),
    }
}
