//! What people decide about an execution: that it may run, that it may not, that it is undone.

use threatstream_backend::{BackendError, Effect};
use threatstream_domain::{Execution, ExecutionStatus, Timestamp};

use super::Engine;
use crate::action;
use crate::playbook::Approval;

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecideError {
    /// There is no such execution.
    #[error("there is no execution {0}")]
    NoExecution(String),
    /// Its state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The store or the queue failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Engine {
    /// Lets an execution run that waits for a person. Doing it twice does no harm.
    pub(crate) async fn approve(&self, id: &str, by: &str) -> Result<Execution, DecideError> {
        let approved = self
            .decide(id, |execution, _| match execution.status {
                ExecutionStatus::AwaitingApproval => {
                    execution.status = ExecutionStatus::Pending;
                    Ok(Vec::new())
                }
                other => Err(format!(
                    "only an execution that is AWAITING_APPROVAL can be approved; this one is {other}"
                )),
            })
            .await;
        let execution = match approved {
            Err(DecideError::Conflict(reason)) => match self.store().execution(id).await? {
                // Approved before, and perhaps its task was never enqueued.
                Some(execution) if execution.status == ExecutionStatus::Pending && self.asks(&execution) => execution,
                _ => return Err(DecideError::Conflict(reason)),
            },
            other => other?,
        };
        self.enqueue(&execution, "-approved").await?;
        tracing::info!(execution_id = id, by, "execution approved");
        Ok(execution)
    }

    /// Ends an execution that waits for a person.
    pub(crate) async fn decline(&self, id: &str, by: &str) -> Result<Execution, DecideError> {
        self.decide(id, |execution, now| match execution.status {
            ExecutionStatus::AwaitingApproval => {
                execution.status = ExecutionStatus::Declined;
                execution.completed_at = Some(now);
                if let Some(step) = execution.steps.first_mut() {
                    step.detail = Some(format!("declined by {by}"));
                }
                Ok(Vec::new())
            }
            other => Err(format!(
                "only an execution that is AWAITING_APPROVAL can be declined; this one is {other}"
            )),
        })
        .await
    }

    /// Takes back what an ended execution has done in the product: its blocks are lifted. What it has told the outside stays told.
    pub(crate) async fn roll_back(&self, id: &str, by: &str) -> Result<Execution, DecideError> {
        let blocklist = self.store().blocklist(self.clock.now()).await?;
        self.decide(id, |execution, now| {
            if !matches!(execution.status, ExecutionStatus::Completed | ExecutionStatus::Failed) {
                let status = execution.status;
                return Err(format!(
                    "only an execution that is COMPLETED or FAILED can be rolled back; this one is {status}"
                ));
            }
            if execution.dry_run {
                return Err("a dry run has done nothing that could be rolled back".to_owned());
            }
            let before = execution.clone();
            let mut effects = Vec::new();
            for step in &mut execution.steps {
                let Some(undone) = action::undo(step, &before, &blocklist) else {
                    continue;
                };
                for effect in undone {
                    if !effects.contains(&effect) {
                        effects.push(effect);
                    }
                }
                let done = step.detail.take().unwrap_or_default();
                step.detail = Some(format!("{done}; rolled back by {by} at {now}"));
            }
            execution.status = ExecutionStatus::RolledBack;
            Ok(effects)
        })
        .await
    }

    /// True when this execution's playbook asks for an approval.
    fn asks(&self, execution: &Execution) -> bool {
        let playbook = self.library.get(&execution.playbook_id);
        !execution.dry_run && playbook.is_some_and(|playbook| playbook.approval == Approval::Required)
    }

    /// Reads, changes and saves until no other change comes between.
    async fn decide(
        &self,
        id: &str,
        change: impl Fn(&mut Execution, Timestamp) -> Result<Vec<Effect>, String>,
    ) -> Result<Execution, DecideError> {
        loop {
            let Some(mut execution) = self.store().execution(id).await? else {
                return Err(DecideError::NoExecution(id.to_owned()));
            };
            let now = self.clock.now();
            let effects = change(&mut execution, now).map_err(DecideError::Conflict)?;
            if let Some(saved) = self.store().save_execution(&execution, &effects, now).await? {
                return Ok(saved);
            }
        }
    }
}
