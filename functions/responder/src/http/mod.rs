//! The routes.

mod blocklist;
mod decide;
mod execute;
mod executions;
mod playbooks;
mod sweep;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use threatstream_backend::BackendError;
use threatstream_runtime::Problem;

use crate::execution::Engine;

pub(crate) fn router(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/api/playbooks", get(playbooks::list))
        .route("/api/playbooks/history", get(executions::history))
        .route("/api/playbooks/execute", post(execute::execute))
        .route(
            "/api/playbooks/execute-mitigations/{threat_id}",
            post(execute::execute_mitigations),
        )
        .route("/api/playbooks/executions/{id}", get(executions::one))
        .route("/api/playbooks/executions/{id}/approve", post(decide::approve))
        .route("/api/playbooks/executions/{id}/decline", post(decide::decline))
        .route("/api/playbooks/executions/{id}/rollback", post(decide::roll_back))
        .route("/api/blocklist", get(blocklist::blocklist))
        .route("/tasks/respond", post(tasks::respond))
        .route("/tasks/sweep", post(sweep::sweep))
        .with_state(engine)
}

/// What a failing store or queue is answered with; what it said stays in the log.
fn unavailable(error: &BackendError) -> Problem {
    tracing::error!(%error, "a backend failed");
    if error.is_retryable() {
        Problem::unavailable("a backend does not answer now", Duration::from_secs(5))
    } else {
        Problem::internal("the request could not be processed")
    }
}

/// Longer ids than any the product gives are not asked of the store.
fn id(text: &str) -> Option<&str> {
    (1..=128).contains(&text.len()).then_some(text)
}

#[cfg(test)]
mod tests;
