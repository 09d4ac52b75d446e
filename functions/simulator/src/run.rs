//! A running simulation: what to append when, and what was measured.

use std::sync::Arc;
use std::time::Duration;

use threatstream_backend::{BackendError, Durability, Record};
use threatstream_domain::{Envelope, SimulationState, SimulationStatus, Timestamp, derived_id};
use tokio::time::Instant;

use crate::control::{Simulator, elapsed_seconds, is_over};
use crate::pace::{Pace, Rate};
use crate::scenario::{Generator, scenario, seed_of};

/// The wait between two appends.
const TICK: Duration = Duration::from_millis(50);
/// The longest wait after an append that failed.
const MAX_BACKOFF: Duration = Duration::from_secs(2);
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// The running simulation.
pub(crate) struct Run {
    pub(crate) simulator: Arc<Simulator>,
    state: SimulationState,
    id: String,
    started_at: Timestamp,
    duration: Duration,
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

impl Run {
    /// The simulation that is to run, if there is one. One whose time is over is completed.
    pub(crate) async fn resume(simulator: &Arc<Simulator>) -> anyhow::Result<Option<Self>> {
        let _turn = simulator.turn.lock().await;
        let Some(mut state) = simulator.backends.store.simulation().await? else {
            return Ok(None);
        };
        if state.status != SimulationStatus::Running {
            return Ok(None);
        }
        let now = simulator.clock.now();
        let known = state.attack_vector.as_deref().and_then(|name| scenario(name).ok());
        let (Some(known), Some(id), Some(started_at), Some(intensity), Some(eps), Some(duration), true) = (
            known,
            state.simulation_id.clone(),
            state.started_at,
            state.intensity,
            state.target_eps,
            state.duration_seconds,
            simulator.config.enabled,
        ) else {
            state.elapsed_seconds = elapsed_seconds(&state, now);
            simulator.end(&mut state, SimulationStatus::Stopped, now).await?;
            return Ok(None);
        };
        if is_over(&state, now) {
            state.elapsed_seconds = duration;
            simulator.end(&mut state, SimulationStatus::Completed, now).await?;
            return Ok(None);
        }
        let eps = eps.clamp(1, simulator.config.max_eps.max(1));
        let sent = state.events_generated;
        let generator = Generator::new(known, intensity, seed_of(&id), started_at, eps);
        let generator = tokio::task::spawn_blocking(move || after(generator, sent)).await?;
        let duration = Duration::from_secs(duration.into());
        let before = now.since(started_at);
        tracing::info!(
            simulation_id = id,
            attack_vector = known.attack_vector,
            eps,
            sent,
            "simulation runs"
        );
        simulator.live.send_replace(Some(state.clone()));
        Ok(Some(Self {
            simulator: Arc::clone(simulator),
            state,
            id,
            started_at,
            duration,
            generator,
            pace: Pace::new(eps, duration, sent, before),
            rate: Rate::default(),
            before,
            since: Instant::now(),
            saved: before,
            pending: Vec::new(),
            backoff: TICK,
        }))
    }

    /// Appends what is due and says how long to wait then; `None` when the simulation is over.
    pub(crate) async fn step(&mut self) -> Result<Option<Duration>, BackendError> {
        let simulator = Arc::clone(&self.simulator);
        let _turn = simulator.turn.lock().await;
        if !self.is_live() {
            return Ok(None);
        }
        let elapsed = self.before + self.since.elapsed();
        self.draw(elapsed);
        self.append(elapsed).await?;
        self.state.current_eps = self.rate.at(elapsed);
        self.state.elapsed_seconds = u32::try_from(elapsed.min(self.duration).as_secs()).unwrap_or(u32::MAX);
        simulator.live.send_replace(Some(self.state.clone()));
        let saved = if elapsed >= self.duration {
            let now = self.now(elapsed);
            let mut ended = self.state.clone();
            simulator
                .end(&mut ended, SimulationStatus::Completed, now)
                .await
                .map(|()| false)
        } else if elapsed.saturating_sub(self.saved) >= SAVE_EVERY {
            self.save(elapsed).await
        } else {
            Ok(true)
        };
        match saved {
            Ok(true) => Ok(Some(self.backoff)),
            Ok(false) => Ok(None),
            Err(error) if error.is_retryable() => {
                tracing::warn!(simulation_id = self.id, %error, "the simulation's state is not saved, trying again");
                Ok(Some(SAVE_EVERY))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether nobody stopped or replaced it in this process.
    fn is_live(&self) -> bool {
        let live = self.simulator.live.borrow();
        live.as_ref()
            .is_some_and(|live| live.simulation_id.as_deref() == Some(&self.id))
    }

    fn now(&self, elapsed: Duration) -> Timestamp {
        self.started_at.plus(elapsed)
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
            .map(|(number, raw)| self.simulator.record(&self.id, number, &raw, received_at))
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
                tracing::warn!(simulation_id = self.id, %error, "the log takes no simulated events, trying again");
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
                .save_simulation(&self.state, Some(&self.id), true, self.now(elapsed))
                .await?;
        if !saved {
            self.simulator.live.send_replace(None);
        }
        self.saved = elapsed;
        Ok(saved)
    }

    /// The process ends: what was measured is saved, and the simulation stays running for the next process.
    pub(crate) async fn interrupt(mut self) -> Result<(), BackendError> {
        let simulator = Arc::clone(&self.simulator);
        let _turn = simulator.turn.lock().await;
        if self.is_live() {
            self.save(self.before + self.since.elapsed()).await?;
            simulator.live.send_replace(None);
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

/// The generator, so many lines later.
fn after(mut generator: Generator, lines: u64) -> Generator {
    (0..lines).for_each(|_| drop(generator.next()));
    generator
}
