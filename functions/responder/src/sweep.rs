//! What is due each minute.
//!
//! Blocks need nothing done when their time is over: the blocklist shows those that hold, and the store forgets the others in its own
//! time.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use threatstream_backend::{BackendError, ExecutionQuery};
use threatstream_domain::{Execution, ExecutionStatus, Timestamp};
use threatstream_runtime::CancellationToken;
use tokio::time::{Instant, MissedTickBehavior};

use crate::execution::{Engine, INTERRUPTED_AFTER};

const MINUTE: Duration = Duration::from_secs(60);
/// Executions looked at in one read.
const PAGE: usize = 100;

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Swept {
    /// The executions whose worker was gone, enqueued to go on.
    pub(crate) resumed: Vec<String>,
    /// The alerts that nobody acknowledged before they were due, of which the dashboards were told.
    pub(crate) overdue: Vec<String>,
    /// The minutes whose metrics were told, by their beginnings.
    pub(crate) minutes: Vec<Timestamp>,
}

/// Sweeps each minute until `stop` is cancelled. A sweep that fails is made up for by the next.
///
/// # Errors
/// None; the signature is a worker's.
pub(crate) async fn every_minute(engine: Arc<Engine>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut interval = tokio::time::interval_at(Instant::now() + MINUTE, MINUTE);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let sweeping = async {
        loop {
            interval.tick().await;
            if let Err(error) = engine.sweep().await {
                tracing::warn!(%error, "the sweep failed");
            }
        }
    };
    stop.run_until_cancelled(sweeping).await;
    Ok(())
}

impl Engine {
    /// Does what is due. Of the parts, the failure of one does not keep the others from being done.
    pub(crate) async fn sweep(&self) -> Result<Swept, BackendError> {
        let resumed = self.resume_interrupted().await;
        let overdue = self.tell_overdue().await;
        let minutes = self.tell_minutes().await;
        let swept = Swept {
            resumed: resumed?,
            overdue: overdue?,
            minutes: minutes?,
        };
        if swept != Swept::default() {
            tracing::debug!(
                resumed = swept.resumed.len(),
                overdue = swept.overdue.len(),
                minutes = swept.minutes.len(),
                "swept"
            );
        }
        Ok(swept)
    }

    /// Tells the dashboards of the alerts that have become overdue.
    async fn tell_overdue(&self) -> Result<Vec<String>, BackendError> {
        let mut overdue = Vec::new();
        loop {
            let told = self.store().tell_overdue(PAGE, self.clock.now()).await?;
            let is_last = told.is_empty();
            for alert in told {
                tracing::warn!(
                    alert_id = alert.group.id,
                    priority = alert.group.priority.as_str(),
                    due_at = %alert.group.due_at,
                    "an alert is overdue"
                );
                overdue.push(alert.group.id);
            }
            if is_last {
                return Ok(overdue);
            }
        }
    }

    /// Enqueues the executions that are RUNNING and have not moved for so long that whoever ran them is gone.
    async fn resume_interrupted(&self) -> Result<Vec<String>, BackendError> {
        let now = self.clock.now();
        let mut query = ExecutionQuery {
            status: Some(ExecutionStatus::Running),
            limit: PAGE,
            ..ExecutionQuery::default()
        };
        let mut resumed = Vec::new();
        loop {
            let page = self.store().executions(&query).await?;
            for execution in page.items {
                if now < moved_at(&execution).plus(INTERRUPTED_AFTER) {
                    continue;
                }
                // By its version: the same standstill is one task, the next one another.
                self.enqueue(&execution, &format!("-swept-{}", execution.version))
                    .await?;
                tracing::warn!(
                    execution_id = execution.execution_id,
                    playbook_id = execution.playbook_id,
                    step = execution.current_step,
                    "execution was interrupted and goes on"
                );
                resumed.push(execution.execution_id);
            }
            match page.next_cursor {
                Some(cursor) => query.cursor = Some(cursor),
                None => return Ok(resumed),
            }
        }
    }
}

/// When an execution last made a step.
fn moved_at(execution: &Execution) -> Timestamp {
    let steps = execution.steps.iter();
    let moves = steps.flat_map(|step| [step.started_at, step.completed_at]).flatten();
    moves.fold(execution.started_at, Timestamp::max)
}

#[cfg(test)]
mod tests;
