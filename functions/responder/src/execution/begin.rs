//! How executions come to be: by a threat, or by hand.

use serde_json::{Map, Value};
use threatstream_backend::{BackendError, RESPOND_QUEUE, Task};
use threatstream_domain::{Execution, ExecutionStatus, ExecutionStep, StepStatus, Threat, Timestamp, derived_id};
use threatstream_runtime::CancellationToken;

use super::{Engine, RunError};
use crate::playbook::{Approval, Playbook};
use crate::task::Work;

/// An execution that somebody asks for.
pub(crate) struct Request<'a> {
    pub(crate) playbook: &'a Playbook,
    pub(crate) threat: &'a Threat,
    pub(crate) dry_run: bool,
    pub(crate) override_params: Map<String, Value>,
    /// The same key asks for the same execution.
    pub(crate) key: &'a str,
}

impl Engine {
    /// Runs every playbook that answers the threat, each once however often this is called. A playbook that does not get to its end
    /// does not keep the others from theirs.
    pub(crate) async fn respond(&self, threat_id: &str, stop: &CancellationToken) -> Result<(), RunError> {
        let Some(threat) = self.store().threat(threat_id).await? else {
            return Err(RunError::NoThreat(threat_id.to_owned()));
        };
        let mut failed = None;
        for playbook in self.library.answering(&threat) {
            let now = self.clock.now();
            let id = derived_id("EXE", &[&playbook.id, &threat.id]);
            let execution = fresh(id, playbook, &threat, false, Map::new(), now);
            self.store().create_execution(&execution, now).await?;
            if let Err(error) = self.run(&execution.execution_id, stop).await {
                tracing::warn!(execution_id = execution.execution_id, %error, "execution stopped before its end");
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Creates an execution by hand and puts it into the queue: the request may end, and the machine with it, before it has run.
    /// `None`: the key was used before, for something else.
    pub(crate) async fn request(&self, request: Request<'_>) -> Result<Option<Execution>, BackendError> {
        let now = self.clock.now();
        let id = derived_id(
            "EXE",
            &["by hand", &request.playbook.id, &request.threat.id, request.key],
        );
        let asked = fresh(
            id,
            request.playbook,
            request.threat,
            request.dry_run,
            request.override_params,
            now,
        );
        let mut execution = asked;
        if !self.store().create_execution(&execution, now).await?
            && let Some(there) = self.store().execution(&execution.execution_id).await?
        {
            if there.dry_run != execution.dry_run || there.override_params != execution.override_params {
                return Ok(None);
            }
            execution = there;
        }
        // Also when it was there already: the first request may have ended between the two.
        if execution.status == ExecutionStatus::Pending {
            self.enqueue(&execution, "").await?;
        }
        Ok(Some(execution))
    }

    /// The execution that a threat starts, not stored.
    #[cfg(test)]
    pub(crate) fn fresh_for_test(&self, playbook: &str, threat: &Threat) -> Execution {
        let id = derived_id("EXE", &[playbook, &threat.id]);
        let playbook = self.library.get(playbook).unwrap();
        fresh(id, playbook, threat, false, Map::new(), self.clock.now())
    }

    /// `why` tells tasks of the same execution apart: a queue takes an id once.
    pub(crate) async fn enqueue(&self, execution: &Execution, why: &str) -> Result<(), BackendError> {
        let task = Task {
            queue: RESPOND_QUEUE.to_owned(),
            id: format!("respond-{}{why}", execution.execution_id),
            payload: Work::Execution(execution.execution_id.clone()).payload(),
        };
        self.backends.tasks.enqueue(vec![task], self.clock.now()).await
    }
}

fn fresh(
    execution_id: String,
    playbook: &Playbook,
    threat: &Threat,
    dry_run: bool,
    override_params: Map<String, Value>,
    now: Timestamp,
) -> Execution {
    // A drill's attacker is nobody's: nothing is touched.
    let dry_run = dry_run || threat.simulated;
    let status = match playbook.approval {
        Approval::Required if !dry_run => ExecutionStatus::AwaitingApproval,
        Approval::Required | Approval::None => ExecutionStatus::Pending,
    };
    let steps = playbook.steps.iter().map(|step| ExecutionStep {
        name: step.name.clone(),
        action: step.action.as_str().to_owned(),
        status: StepStatus::Pending,
        started_at: None,
        completed_at: None,
        detail: None,
    });
    Execution {
        execution_id,
        playbook_id: playbook.id.clone(),
        playbook_name: playbook.name.clone(),
        threat_id: threat.id.clone(),
        status,
        started_at: now,
        completed_at: None,
        current_step: 0,
        steps: steps.collect(),
        dry_run,
        override_params,
        version: 0,
    }
}
