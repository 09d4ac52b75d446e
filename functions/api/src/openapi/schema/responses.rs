//! Playbooks at work, and what they block.

use utoipa::ToSchema;

use super::*;

/// A step of an execution.
#[derive(ToSchema)]
pub(crate) struct ExecutionStep {
    name: String,
    /// What it does: `block_source`, `webhook`.
    action: String,
    status: StepStatus,
    started_at: Option<Time>,
    completed_at: Option<Time>,
    /// What came of it, or why it failed.
    detail: Option<String>,
}

/// A playbook at work on a threat.
#[derive(ToSchema)]
pub(crate) struct Execution {
    execution_id: String,
    playbook_id: String,
    playbook_name: String,
    threat_id: String,
    status: ExecutionStatus,
    started_at: Time,
    completed_at: Option<Time>,
    /// The step at work or next, from 0.
    current_step: u64,
    steps: Vec<ExecutionStep>,
    /// Nothing outside is touched.
    dry_run: bool,
    #[schema(value_type = Object)]
    override_params: (),
    /// Counts saves.
    version: u64,
}

/// An address that firewalls should block.
#[derive(ToSchema)]
pub(crate) struct BlockEntry {
    ip: String,
    reason: String,
    threat_id: String,
    execution_id: String,
    blocked_at: Time,
    expires_at: Time,
}
