//! Executions of playbooks, and the blocklist.

use async_trait::async_trait;
use threatstream_domain::{BlockEntry, Execution, ExecutionStatus, Timestamp};

use super::Page;
use crate::BackendError;

/// Which executions. Absent parts ask nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecutionQuery {
    /// For this threat.
    pub threat_id: Option<String>,
    /// Of this playbook.
    pub playbook_id: Option<String>,
    /// So far.
    pub status: Option<ExecutionStatus>,
    /// At most this many, from 1.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// What a step does in the product itself, written together with the step's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Blocks an address; a block that is there already keeps the later expiry.
    Block(BlockEntry),
    /// Lifts a block, if this execution set it.
    Unblock {
        /// The address.
        ip: String,
        /// The execution that blocked it.
        execution_id: String,
    },
    /// Marks the threat as blocked by a playbook, or no longer; its update is told to the dashboards.
    AutoBlocked {
        /// The threat.
        threat_id: String,
        /// Blocked, or no longer.
        blocked: bool,
    },
}

/// Executions and the blocklist. Everything here is durable when it returns.
#[async_trait]
pub trait Responses: Send + Sync {
    /// Creates an execution and tells the dashboards (`playbook_status`). False: there is one of this id already, and
    /// nothing was changed.
    async fn create_execution(&self, execution: &Execution, now: Timestamp) -> Result<bool, BackendError>;

    /// Saves an execution whose `version` is the stored one's, with the effects of its step, all or nothing, and tells the
    /// dashboards. The execution with its new version; `None`: it was changed meanwhile, nothing was done.
    async fn save_execution(
        &self,
        execution: &Execution,
        effects: &[Effect],
        now: Timestamp,
    ) -> Result<Option<Execution>, BackendError>;

    /// One execution.
    async fn execution(&self, id: &str) -> Result<Option<Execution>, BackendError>;

    /// Executions, newest `started_at` first.
    ///
    /// # Errors
    /// `Rejected` for a cursor that this store did not give.
    async fn executions(&self, query: &ExecutionQuery) -> Result<Page<Execution>, BackendError>;

    /// What is blocked at this moment, newest first.
    async fn blocklist(&self, now: Timestamp) -> Result<Vec<BlockEntry>, BackendError>;
}
