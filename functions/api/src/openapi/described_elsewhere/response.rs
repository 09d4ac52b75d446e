//! The responder's routes.

#![expect(unused_qualifications, reason = "in what the macro for parameters makes")]
#![expect(dead_code, reason = "these functions carry descriptions and are never called")]

use utoipa::{IntoParams, ToSchema};

use super::push::TaskPush;
use crate::openapi::schema;

/// A playbook to run on a threat.
#[derive(ToSchema)]
struct ExecutionOrder {
    #[schema(example = "pb-brute-001")]
    playbook_id: String,
    threat_id: String,
    /// Touches nothing outside.
    dry_run: Option<bool>,
    /// Over the playbook's own parameters.
    #[schema(value_type = Option<Object>)]
    override_params: Option<()>,
}

/// The playbooks there are, and the files that are not used.
#[derive(ToSchema)]
struct Playbooks {
    count: usize,
    #[schema(value_type = Vec<Object>)]
    playbooks: Vec<()>,
    set_aside: Vec<SetAside>,
}

/// A file that is not used, and why.
#[derive(ToSchema)]
struct SetAside {
    file: String,
    reason: String,
}

/// Executions that were started.
#[derive(ToSchema)]
struct Started {
    executions: Vec<schema::Execution>,
    count: usize,
}

/// A page of executions.
#[derive(ToSchema)]
struct Executions {
    executions: Vec<schema::Execution>,
    count: usize,
    next_cursor: Option<String>,
}

/// What a sweep did.
#[derive(ToSchema)]
struct Swept {
    /// The executions whose worker was gone, enqueued to go on.
    resumed: Vec<String>,
    /// Alerts that nobody acknowledged before they were due, of which the dashboards were told.
    overdue: Vec<String>,
    /// The minutes whose metrics were told, by their beginnings.
    minutes: Vec<schema::Time>,
}

/// What is blocked now.
#[derive(ToSchema)]
struct Blocklist {
    blocklist: Vec<schema::BlockEntry>,
    count: usize,
    as_of: schema::Time,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct HistoryQuery {
    /// For this threat.
    threat_id: Option<String>,
    /// Of this playbook.
    playbook_id: Option<String>,
    /// So far.
    status: Option<schema::ExecutionStatus>,
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct BlocklistQuery {
    /// `json`, or `txt`: a plain list, an address a line, that firewalls poll.
    #[param(example = "txt")]
    format: Option<String>,
}

/// Playbooks
#[utoipa::path(get, path = "/api/playbooks", tag = "response", responses((status = 200, body = Playbooks)))]
fn playbooks() {}

/// What playbooks did
#[utoipa::path(get, path = "/api/playbooks/history", tag = "response", params(HistoryQuery), responses((status = 200, body = Executions)))]
fn playbook_history() {}

/// Run a playbook on a threat
#[utoipa::path(
    post, path = "/api/playbooks/execute", tag = "response", request_body = ExecutionOrder,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and request give the same execution")),
    responses((status = 202, description = "It will run", body = schema::Execution))
)]
fn execute_playbook() {}

/// Run every playbook that answers a threat
#[utoipa::path(
    post, path = "/api/playbooks/execute-mitigations/{threat_id}", tag = "response",
    params(("threat_id" = String, Path, description = "The threat's id")),
    responses((status = 202, description = "They will run", body = Started))
)]
fn execute_mitigations() {}

/// One execution
#[utoipa::path(
    get, path = "/api/playbooks/executions/{id}", tag = "response", params(("id" = String, Path, description = "The execution's id")),
    responses((status = 200, body = schema::Execution))
)]
fn execution() {}

/// Let an execution go on that waits for it
#[utoipa::path(
    post, path = "/api/playbooks/executions/{id}/approve", tag = "response", params(("id" = String, Path, description = "The execution's id")),
    responses((status = 202, description = "It will run", body = schema::Execution))
)]
fn approve_execution() {}

/// Decline an execution that waits for approval
#[utoipa::path(
    post, path = "/api/playbooks/executions/{id}/decline", tag = "response", params(("id" = String, Path, description = "The execution's id")),
    responses((status = 200, body = schema::Execution))
)]
fn decline_execution() {}

/// Undo an execution
#[utoipa::path(
    post, path = "/api/playbooks/executions/{id}/rollback", tag = "response", params(("id" = String, Path, description = "The execution's id")),
    responses((status = 200, body = schema::Execution))
)]
fn roll_back_execution() {}

/// Take a task that a queue pushes
///
/// Any other answer makes the queue push it again. Needs the role `admin`, or behind Cloud Run's IAM an account that may push.
#[utoipa::path(
    post, path = "/tasks/respond", tag = "response", request_body = TaskPush,
    responses((status = 204, description = "It is done, or can never be done and is among the dead letters"))
)]
fn task_respond() {}

/// Do what is due each minute
///
/// Enqueues executions whose worker is gone, and tells the minute's metrics. Calling it more often does no harm. Needs the role `admin`, or
/// behind Cloud Run's IAM an account that may push.
#[utoipa::path(post, path = "/tasks/sweep", tag = "response", responses((status = 200, body = Swept)))]
fn task_sweep() {}

/// What is blocked now
#[utoipa::path(
    get, path = "/api/blocklist", tag = "response", params(BlocklistQuery),
    responses((status = 200, content((Blocklist = "application/json"), (String = "text/plain"))))
)]
fn blocklist() {}

#[derive(utoipa::OpenApi)]
#[openapi(paths(
    playbooks,
    playbook_history,
    execute_playbook,
    execute_mitigations,
    execution,
    approve_execution,
    decline_execution,
    roll_back_execution,
    task_respond,
    task_sweep,
    blocklist,
))]
pub(super) struct Described;
