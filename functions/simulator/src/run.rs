//! A running simulation: what to append when, and what was measured.

use std::sync::Arc;
use std::time::Duration;

use threatstream_backend::{BackendError, Durability, Record};
use threatstream_domain::{Envelope, SimulationState, SimulationStatus, Timestamp, derived_id};
use tokio::time::Instant;

use crate::control::{Simulator, elapsed_seconds, is_over};
use crate::pace::{Pace, Rate};
use crate::plan::Plan;
use crate::scenario::{Generator, seed_of};

/// The wait between two appends.
const TICK: Duration = Duration::from_millis(50);
/// The longest wait after an append that failed.
const MAX_BACKOFF: Duration = Duration::from_secs(2);
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// How much of a simulation a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// All of it, until its time is over.
    Whole,
    /// The lines before this one, however late they are; the simulation is over when these are its last.
    Until(u64),
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to do, after this wait.
    Wait(Duration),
    /// The slice is out and saved; the simulation goes on with the next one.
    SliceOut,
    /// The simulation has ended, was stopped, or is another by now.
    Over,
}

/// What is left of a slice.
pub(crate) enum Slice {
    /// Lines to send.
    Run(Box<Run>),
    /// Nothing, and whether the next slice is known is not certain.
    Out,
    /// Nothing at all: why.
    Obsolete(&'static str),
}

/// The running simulation. While there is one, its state is the simulator's `live`.
pub(crate) struct Run {
    simulator: Arc<Simulator>,
    state: SimulationState,
    plan: Plan,
    part: Part,
    generator: Generator,
    pace: Pace,
    rate: Rate,
    /// How long it had run at `since`; from there on time is the monotonic clock's, which nobody sets.
    before: Duration,
    since: Instant,
    saved: Duration,
    /// Drawn and not known to be appended: sent again as they are, so that what was appended after all is a duplicate.
    pending: Vec<Record>,
    backoff: Duration,
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.is_live() {
            self.simulator.live.send_replace(None);
        }
    }
}

impl Run {
    /// The simulation that is to run, if there is one. One whose time is over is completed.
    pub(crate) async fn resume(simulator: &Arc<Simulator>) -> Result<Option<Self>, BackendError> {
        let _turn = simulator.turn.lock().await;
        let now = simulator.clock.now();
        let Some((mut state, plan)) = running(simulator, now).await? else {
            return Ok(None);
        };
        if is_over(&state, now) {
            state.elapsed_seconds = plan.seconds;
            simulator.end(&mut state, SimulationStatus::Completed, now).await?;
            return Ok(None);
        }
        Self::begin(simulator, state, plan, Part::Whole, now).await.map(Some)
    }

    /// Slice `number` of a simulation, from where it is known to be.
    pub(crate) async fn slice(simulator: &Arc<Simulator>, id: &str, number: u32) -> Result<Slice, BackendError> {
        let _turn = simulator.turn.lock().await;
        let now = simulator.clock.now();
        let Some((mut state, plan)) = running(simulator, now).await? else {
            return Ok(Slice::Obsolete("no simulation is running"));
        };
        if plan.id != id {
            return Ok(Slice::Obsolete("another simulation is running"));
        }
        let Some(lines) = plan.slice(number) else {
            return Ok(Slice::Obsolete("the simulation has no such slice"));
        };
        if state.events_generated > lines.end {
            return Ok(Slice::Obsolete("a later slice is at work"));
        }
        if state.events_generated == lines.end && lines.end < plan.lines() {
            return Ok(Slice::Out);
        }
        // A slice is enqueued when the one before is out; a smaller number is of one that was worked twice at once.
        state.events_generated = state.events_generated.max(lines.start);
        let run = Self::begin(simulator, state, plan, Part::Until(lines.end), now).await?;
        Ok(Slice::Run(Box::new(run)))
    }

    /// The caller has the turn.
    async fn begin(
        simulator: &Arc<Simulator>,
        state: SimulationState,
        plan: Plan,
        part: Part,
        now: Timestamp,
    ) -> Result<Self, BackendError> {
        let sent = state.events_generated;
        let generator = Generator::new(
            plan.scenario,
            plan.intensity,
            seed_of(&plan.id),
            plan.started_at,
            plan.eps,
        );
        let generator = tokio::task::spawn_blocking(move || after(generator, sent))
            .await
            .map_err(|error| BackendError::Unavailable {
                backend: "simulator",
                message: error.to_string(),
            })?;
        let before = now.since(plan.started_at);
        let end = match part {
            Part::Whole => plan.lines(),
            Part::Until(end) => end,
        };
        tracing::info!(
            simulation_id = plan.id,
            attack_vector = plan.scenario.attack_vector,
            eps = plan.eps,
            sent,
            end,
            "simulation runs"
        );
        simulator.live.send_replace(Some(state.clone()));
        Ok(Self {
            simulator: Arc::clone(simulator),
            state,
            pace: Pace::new(plan.eps, end, sent, before),
            plan,
            part,
            generator,
            rate: Rate::default(),
            before,
            since: Instant::now(),
            saved: before,
            pending: Vec::new(),
            backoff: TICK,
        })
    }

    /// Appends what is due and says what comes then.
    pub(crate) async fn step(&mut self) -> Result<Step, BackendError> {
        let simulator = Arc::clone(&self.simulator);
        let _turn = simulator.turn.lock().await;
        if !self.is_live() {
            return Ok(Step::Over);
        }
        let elapsed = self.before + self.since.elapsed();
        self.draw(elapsed);
        self.append(elapsed).await?;
        self.state.current_eps = self.rate.at(elapsed);
        self.state.elapsed_seconds = u32::try_from(elapsed.min(self.plan.duration()).as_secs()).unwrap_or(u32::MAX);
        simulator.live.send_replace(Some(self.state.clone()));
        match self.settle(elapsed).await {
            Err(error) if error.is_retryable() => {
                tracing::warn!(simulation_id = self.plan.id, %error, "the simulation's state is not saved, trying again");
                Ok(Step::Wait(SAVE_EVERY))
            }
            settled => settled,
        }
    }

    /// Saves what is to be saved now.
    async fn settle(&mut self, elapsed: Duration) -> Result<Step, BackendError> {
        let over = elapsed >= self.plan.duration();
        let sent = self.state.events_generated;
        let (ended, out) = match self.part {
            Part::Whole => (over, false),
            Part::Until(end) if end >= self.plan.lines() => (over && sent >= end, false),
            Part::Until(end) => (false, sent >= end),
        };
        if ended {
            let simulator = Arc::clone(&self.simulator);
            let mut state = self.state.clone();
            simulator
                .end(&mut state, SimulationStatus::Completed, self.now(elapsed))
                .await?;
            return Ok(Step::Over);
        }
        let due = out || elapsed.saturating_sub(self.saved) >= SAVE_EVERY;
        if due && !self.save(elapsed).await? {
            return Ok(Step::Over);
        }
        Ok(if out { Step::SliceOut } else { Step::Wait(self.backoff) })
    }

    /// Whether nobody stopped or replaced it in this process.
    fn is_live(&self) -> bool {
        let live = self.simulator.live.borrow();
        live.as_ref()
            .is_some_and(|live| live.simulation_id.as_deref() == Some(&self.plan.id))
    }

    fn now(&self, elapsed: Duration) -> Timestamp {
        self.plan.started_at.plus(elapsed)
    }

    /// Draws the lines that are due, unless some still wait to be appended.
    fn draw(&mut self, elapsed: Duration) {
        if !self.pending.is_empty() {
            return;
        }
        let due = usize::try_from(self.pace.due(elapsed)).unwrap_or(usize::MAX);
        let received_at = self.now(elapsed);
        let numbered = (self.state.events_generated..).zip(self.generator.by_ref().take(due));
        self.pending = numbered
            .map(|(number, raw)| self.simulator.record(&self.plan.id, number, &raw, received_at))
            .collect();
    }

    async fn append(&mut self, elapsed: Duration) -> Result<(), BackendError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let Simulator { backends, .. } = &*self.simulator;
        match backends
            .log
            .append(&backends.topics.raw, self.pending.clone(), Durability::Promised)
            .await
        {
            Ok(_) => {
                self.rate.add(elapsed, self.pending.len());
                self.state.events_generated += self.pending.len() as u64;
                self.pending.clear();
                self.backoff = TICK;
                Ok(())
            }
            Err(error) if error.is_retryable() => {
                self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
                tracing::warn!(simulation_id = self.plan.id, %error, "the log takes no simulated events, trying again");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Saves the state; false when the simulation was stopped or replaced by another process.
    async fn save(&mut self, elapsed: Duration) -> Result<bool, BackendError> {
        let store = &self.simulator.backends.store;
        let stored = store.simulation().await?;
        let ours = stored.is_some_and(|stored| {
            stored.simulation_id == self.state.simulation_id && stored.status == SimulationStatus::Running
        });
        let saved = ours
            && store
                .save_simulation(&self.state, Some(&self.plan.id), true, self.now(elapsed))
                .await?;
        if !saved {
            self.simulator.live.send_replace(None);
        }
        self.saved = elapsed;
        Ok(saved)
    }

    /// What was measured is saved, and the simulation stays running for whoever comes next.
    pub(crate) async fn interrupt(mut self) -> Result<(), BackendError> {
        let simulator = Arc::clone(&self.simulator);
        let _turn = simulator.turn.lock().await;
        if self.is_live() {
            self.save(self.before + self.since.elapsed()).await?;
        }
        Ok(())
    }
}

impl Simulator {
    /// Line `number` of a simulation as it goes into the log. Its id follows from both, and says nothing of either.
    fn record(&self, simulation_id: &str, number: u64, raw: &str, received_at: Timestamp) -> Record {
        let envelope = Envelope {
            event_id: derived_id("EVT", &[simulation_id, &number.to_string()]).into(),
            format: "auto".into(),
            received_at,
            sender: "simulator".into(),
            raw: raw.into(),
        };
        Record::of_event(&envelope, Some(self.mark_key.mark(simulation_id, number, raw)))
    }
}

/// The simulation that is to run, and its plan. One that cannot or may not run is ended. The caller has the turn.
async fn running(simulator: &Simulator, now: Timestamp) -> Result<Option<(SimulationState, Plan)>, BackendError> {
    let stored = simulator.backends.store.simulation().await?;
    let Some(mut state) = stored.filter(|state| state.status == SimulationStatus::Running) else {
        return Ok(None);
    };
    let config = &simulator.config;
    match Plan::of(&state, config.max_eps).filter(|_| config.enabled) {
        Some(plan) => Ok(Some((state, plan))),
        None => {
            state.elapsed_seconds = elapsed_seconds(&state, now);
            simulator.end(&mut state, SimulationStatus::Stopped, now).await?;
            Ok(None)
        }
    }
}

/// The generator, so many lines later.
fn after(mut generator: Generator, lines: u64) -> Generator {
    (0..lines).for_each(|_| drop(generator.next()));
    generator
}
