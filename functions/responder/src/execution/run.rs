//! Running an execution: one save after the other until it has ended.

use std::time::Duration;

use threatstream_backend::Effect;
use threatstream_domain::{Execution, ExecutionStatus, StepStatus, Threat, Timestamp};
use threatstream_runtime::CancellationToken;

use super::{Engine, INTERRUPTED_AFTER, REACH_OUT_LIMIT, RunError};
use crate::action::{Action, Begin, Context, Outcome, Reached};
use crate::playbook::Playbook;

/// How often a save may lose against others before the task is tried later.
const MAX_CONFLICTS: u32 = 50;
/// How often the outcome of a call is saved against a store that does not answer.
const SAVES: u32 = 4;

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// One save was made.
    Saved,
    /// Another changed the execution; it was read again.
    Conflict,
    /// There is nothing to do: it has ended, or waits for a person.
    Ended,
}

/// A worker's hold on an execution. Dropped at any point, as by a crash, another can be opened and goes on.
pub(crate) struct Run<'e> {
    engine: &'e Engine,
    execution: Execution,
    /// The step that this worker itself has saved as RUNNING: it alone knows that nothing was sent yet.
    begun: Option<usize>,
    /// What is needed to go on; or why it cannot.
    prepared: Result<(Threat, Vec<Action>), String>,
}

impl Engine {
    /// Brings an execution to its end, or to where it waits for a person.
    pub(crate) async fn run(&self, id: &str, stop: &CancellationToken) -> Result<Execution, RunError> {
        let mut run = Run::open(self, id).await?;
        let mut conflicts = 0;
        loop {
            match run.step(stop).await? {
                Progress::Saved => {}
                Progress::Conflict if conflicts < MAX_CONFLICTS => conflicts += 1,
                Progress::Conflict => return Err(RunError::Contended(id.to_owned())),
                Progress::Ended => return Ok(run.execution),
            }
        }
    }
}

impl<'e> Run<'e> {
    pub(crate) async fn open(engine: &'e Engine, id: &str) -> Result<Self, RunError> {
        let Some(execution) = engine.store().execution(id).await? else {
            return Err(RunError::NoExecution(id.to_owned()));
        };
        let prepared = match engine.store().threat(&execution.threat_id).await? {
            Some(threat) => actions(engine.library.get(&execution.playbook_id), &execution).map(|plan| (threat, plan)),
            None => Err("the threat is gone".to_owned()),
        };
        Ok(Self {
            engine,
            execution,
            begun: None,
            prepared,
        })
    }

    /// Does one save, with what leads to it.
    pub(crate) async fn step(&mut self, stop: &CancellationToken) -> Result<Progress, RunError> {
        match self.execution.status {
            ExecutionStatus::Pending | ExecutionStatus::Running => {}
            ExecutionStatus::AwaitingApproval
            | ExecutionStatus::Completed
            | ExecutionStatus::Failed
            | ExecutionStatus::RolledBack
            | ExecutionStatus::Declined => return Ok(Progress::Ended),
        }
        let now = self.engine.clock.now();
        let at = self.execution.current_step;
        let (threat, action, status) = match &self.prepared {
            Ok((threat, plan)) => match (plan.get(at), self.execution.steps.get(at)) {
                (Some(action), Some(step)) => (threat, action, step.status),
                _ => return self.end(at, Outcome::failed("there is no such step"), now).await,
            },
            Err(reason) => {
                let outcome = Outcome::failed(reason.clone());
                return self.end(at, outcome, now).await;
            }
        };
        let context = Context {
            threat,
            execution: &self.execution,
            step: at,
            now,
            webhook: self.engine.webhook.as_ref(),
            never_block: &self.engine.never_block,
        };
        if status == StepStatus::Running && action.reaches_out() {
            if self.begun != Some(at) {
                return self.found_running(at, now).await;
            }
            let reached = tokio::time::timeout(REACH_OUT_LIMIT, action.reach_out(&context, stop)).await;
            return match reached {
                Ok(Reached::Done(outcome)) => self.end(at, outcome, self.engine.clock.now()).await,
                Ok(Reached::Postponed) => self.postpone(at, now).await,
                Err(_) => {
                    let outcome = Outcome::failed("outcome unknown, not sent again: it took too long");
                    self.end(at, outcome, self.engine.clock.now()).await
                }
            };
        }
        match action.begin(&context) {
            Begin::Done(outcome) => self.end(at, outcome, now).await,
            Begin::ReachOut => self.mark_running(at, now).await,
        }
    }

    /// Saved before anything outside is touched: whoever finds it so after a crash knows that something may have been.
    async fn mark_running(&mut self, at: usize, now: Timestamp) -> Result<Progress, RunError> {
        let mut next = self.execution.clone();
        next.status = ExecutionStatus::Running;
        if let Some(step) = next.steps.get_mut(at) {
            step.status = StepStatus::Running;
            step.started_at = Some(now);
            step.detail = None;
        }
        let progress = self.save(next, &[], now).await?;
        if progress == Progress::Saved {
            self.begun = Some(at);
        }
        Ok(progress)
    }

    /// A step that somebody else has begun: it is at work, or its worker is gone and nobody knows how far it came.
    async fn found_running(&mut self, at: usize, now: Timestamp) -> Result<Progress, RunError> {
        let started_at = self.execution.steps.get(at).and_then(|step| step.started_at);
        if started_at.is_some_and(|started_at| now < started_at.plus(INTERRUPTED_AFTER)) {
            return Err(RunError::Busy(self.execution.execution_id.clone()));
        }
        let outcome = Outcome::failed("interrupted: outcome unknown, not sent again");
        self.end(at, outcome, now).await
    }

    /// Nothing was accepted outside, and the process stops: the step is as if it had not begun.
    async fn postpone(&mut self, at: usize, now: Timestamp) -> Result<Progress, RunError> {
        let mut next = self.execution.clone();
        if let Some(step) = next.steps.get_mut(at) {
            step.status = StepStatus::Pending;
            step.started_at = None;
        }
        self.save(next, &[], now).await?;
        Err(RunError::Postponed(self.execution.execution_id.clone()))
    }

    /// Saves how a step ended, with its effects. A step that failed ends the execution.
    async fn end(&mut self, at: usize, outcome: Outcome, now: Timestamp) -> Result<Progress, RunError> {
        let reached_out = self.begun == Some(at);
        let mut next = self.execution.clone();
        next.status = ExecutionStatus::Running;
        if let Some(step) = next.steps.get_mut(at) {
            step.status = outcome.status;
            step.started_at = step.started_at.or(Some(now));
            step.completed_at = Some(now);
            step.detail = Some(outcome.detail);
        }
        if outcome.status == StepStatus::Failed {
            for step in next.steps.iter_mut().skip(at + 1) {
                step.status = StepStatus::Skipped;
                step.detail = Some("not reached: an earlier step failed".to_owned());
            }
            next.status = ExecutionStatus::Failed;
        } else {
            next.current_step = at + 1;
            if next.current_step >= next.steps.len() {
                next.status = ExecutionStatus::Completed;
            }
        }
        if next.status != ExecutionStatus::Running {
            next.completed_at = Some(now);
        }
        if !reached_out {
            return self.save(next, &outcome.effects, now).await;
        }
        // What came of a call is known here alone, and worth some patience.
        let mut tries = 1;
        loop {
            match self.save(next.clone(), &outcome.effects, now).await {
                Err(RunError::Backend(error)) if error.is_retryable() && tries < SAVES => {
                    tokio::time::sleep(Duration::from_millis(200) * tries).await;
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    async fn save(&mut self, next: Execution, effects: &[Effect], now: Timestamp) -> Result<Progress, RunError> {
        let store = self.engine.store();
        if let Some(saved) = store.save_execution(&next, effects, now).await? {
            tracing::debug!(
                execution_id = saved.execution_id,
                playbook_id = saved.playbook_id,
                threat_id = saved.threat_id,
                status = %saved.status,
                step = saved.current_step,
                dry_run = saved.dry_run,
                "execution saved"
            );
            self.execution = saved;
            return Ok(Progress::Saved);
        }
        let id = self.execution.execution_id.clone();
        self.execution = store.execution(&id).await?.ok_or(RunError::NoExecution(id))?;
        self.begun = None;
        Ok(Progress::Conflict)
    }
}

/// What the steps do; or why they no longer can.
fn actions(playbook: Option<&Playbook>, execution: &Execution) -> Result<Vec<Action>, String> {
    let playbook = playbook.ok_or("the playbook is gone")?;
    let same = playbook.steps.len() == execution.steps.len()
        && playbook
            .steps
            .iter()
            .zip(&execution.steps)
            .all(|(ours, begun)| ours.action.as_str() == begun.action && ours.name == begun.name);
    if !same {
        return Err("the playbook's steps have changed since this execution began".to_owned());
    }
    playbook
        .actions(&execution.override_params)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
