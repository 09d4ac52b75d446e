//! What playbooks do, and the product's own blocklist.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::closed_set::closed_set;

closed_set! {
    /// How far an execution is.
    ExecutionStatus, "status" {
        /// Not begun.
        Pending = "PENDING",
        /// Waits for a person.
        AwaitingApproval = "AWAITING_APPROVAL",
        /// At work.
        Running = "RUNNING",
        /// Every step done.
        Completed = "COMPLETED",
        /// A step failed for good.
        Failed = "FAILED",
        /// Undone.
        RolledBack = "ROLLED_BACK",
        /// A person said no.
        Declined = "DECLINED",
    }
}

closed_set! {
    /// How far a step is.
    StepStatus, "step status" {
        /// Not begun.
        Pending = "PENDING",
        /// Begun; found so after a crash, its outcome is unknown.
        Running = "RUNNING",
        /// Done.
        Completed = "COMPLETED",
        /// Failed for good.
        Failed = "FAILED",
        /// Had nothing to do, and says why.
        Skipped = "SKIPPED",
    }
}

/// A step of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionStep {
    /// As the playbook names it.
    pub name: String,
    /// What it does: `block_source`, `webhook`.
    pub action: String,
    /// How far it is.
    pub status: StepStatus,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// What came of it, or why it failed.
    pub detail: Option<String>,
}

/// A playbook at work on a threat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// `EXE-` and 20 hexadecimal digits; follows from playbook and threat when a threat started it.
    pub execution_id: String,
    /// Which playbook.
    pub playbook_id: String,
    /// Its name.
    pub playbook_name: String,
    /// For which threat.
    pub threat_id: String,
    /// How far it is.
    pub status: ExecutionStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// The step at work or next, from 0; the number of steps when all are done.
    pub current_step: usize,
    /// The steps in order.
    pub steps: Vec<ExecutionStep>,
    /// Nothing outside is touched.
    pub dry_run: bool,
    /// Parameters given by whoever started it, over the playbook's own.
    #[serde(default)]
    pub override_params: serde_json::Map<String, serde_json::Value>,
    /// Counts saves; a save names the version it saw.
    pub version: u64,
}

/// An address that firewalls should block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEntry {
    /// The address.
    pub ip: String,
    /// Why.
    pub reason: String,
    /// The threat behind it.
    pub threat_id: String,
    /// The execution that did it.
    pub execution_id: String,
    /// Since when.
    pub blocked_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}
