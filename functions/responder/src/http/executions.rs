//! `GET /api/playbooks/history` and `GET /api/playbooks/executions/{id}`.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use threatstream_backend::{BackendError, ExecutionQuery};
use threatstream_domain::{Execution, ExecutionStatus};
use threatstream_runtime::{Json, Path, Problem, Query};

use super::{id, unavailable};
use crate::execution::Engine;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    limit: Option<usize>,
    cursor: Option<String>,
    status: Option<ExecutionStatus>,
    threat_id: Option<String>,
    playbook_id: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct History {
    executions: Vec<Execution>,
    count: usize,
    next_cursor: Option<String>,
}

pub(super) async fn history(
    State(engine): State<Arc<Engine>>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<History>, Problem> {
    let limit = parameters.limit.unwrap_or(50);
    if !(1..=500).contains(&limit) {
        return Err(Problem::bad_request("the query has a parameter that is not allowed")
            .field("limit", "expected a number from 1 to 500"));
    }
    let query = ExecutionQuery {
        threat_id: parameters.threat_id,
        playbook_id: parameters.playbook_id,
        status: parameters.status,
        limit,
        cursor: parameters.cursor,
    };
    let page = engine.store().executions(&query).await.map_err(|error| match error {
        BackendError::Rejected { .. } if query.cursor.is_some() => {
            Problem::bad_request("the query has a parameter that is not allowed")
                .field("cursor", "expected the next_cursor of an earlier answer")
        }
        other => unavailable(&other),
    })?;
    Ok(Json(History {
        count: page.items.len(),
        executions: page.items,
        next_cursor: page.next_cursor,
    }))
}

pub(super) async fn one(
    State(engine): State<Arc<Engine>>,
    Path(execution_id): Path<String>,
) -> Result<Json<Execution>, Problem> {
    let found = match id(&execution_id) {
        Some(known) => engine
            .store()
            .execution(known)
            .await
            .map_err(|error| unavailable(&error))?,
        None => None,
    };
    found
        .map(Json)
        .ok_or_else(|| Problem::not_found("there is no such execution"))
}
