//! The one simulation that runs or ran last: start, stop, state.

use threatstream_backend::{BackendError, Backends};
use threatstream_domain::{Clock, MarkKey, SimulationState, SimulationStatus, Timestamp, derived_id};
use tokio::sync::{Mutex, Notify, watch};

use crate::order::Order;
use crate::{Config, Dependencies};

/// Why a simulation was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// Wait for its end, or stop it.
    #[error("a simulation is already running: {0}")]
    AlreadyRunning(String),
    /// The store failed; it says whether to try again.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// What a schedule time came to.
#[derive(Debug)]
pub(crate) enum Ticked {
    /// It started this simulation.
    Started(SimulationState),
    /// It did not: why, and the simulation that runs or ran last.
    NotStarted(String, SimulationState),
}

/// What the routes and the worker share.
pub(crate) struct Simulator {
    pub(crate) config: Config,
    pub(crate) backends: Backends,
    pub(crate) clock: Clock,
    pub(crate) mark_key: MarkKey,
    /// Held while something is appended and while the state is changed, so that nothing is appended once a stop is answered.
    pub(crate) turn: Mutex<()>,
    /// Held while a task's slice is at work here: one at a time.
    pub(crate) driving: Mutex<()>,
    /// The state of the simulation that this process runs, as of the last append; the store's is up to a second behind.
    pub(crate) live: watch::Sender<Option<SimulationState>>,
    /// Tells the worker that there is something to run.
    pub(crate) wake: Notify,
}

impl Simulator {
    pub(crate) fn new(config: Config, dependencies: Dependencies) -> Self {
        let Dependencies {
            backends,
            clock,
            mark_key,
        } = dependencies;
        Self {
            config,
            backends,
            clock,
            mark_key,
            turn: Mutex::new(()),
            driving: Mutex::new(()),
            live: watch::Sender::new(None),
            wake: Notify::new(),
        }
    }

    /// The simulation that runs or ran last, as fresh as this process knows it.
    pub(crate) async fn state(&self) -> Result<SimulationState, BackendError> {
        let stored = self
            .backends
            .store
            .simulation()
            .await?
            .unwrap_or_else(SimulationState::idle);
        let live = self.live.borrow();
        Ok(match &*live {
            Some(live) if stored.status == SimulationStatus::Running && live.simulation_id == stored.simulation_id => {
                live.clone()
            }
            _ => stored,
        })
    }

    /// Starts a simulation.
    pub(crate) async fn start(&self, order: &Order) -> Result<SimulationState, StartError> {
        let _turn = self.turn.lock().await;
        let now = self.clock.now();
        let unique = format!("{:032x}", rand::random::<u128>());
        let id = derived_id("SIM", &[&now.to_string(), &unique]);
        let stored = self.backends.store.simulation().await?;
        let mut state = self.save_start(order, id, stored.as_ref(), now).await?;
        if let Err(error) = self.set_off(&state).await {
            // Nobody else would drive it, and who asked is told so.
            self.end(&mut state, SimulationStatus::Stopped, now).await?;
            return Err(error.into());
        }
        Ok(state)
    }

    /// Starts the simulation of a schedule time, unless there is a reason not to. However often it is called, one schedule time starts
    /// one simulation: its id follows from that time and the scenario, and a time before the last start has had its turn.
    pub(crate) async fn tick(&self, order: &Order, due: Timestamp) -> Result<Ticked, BackendError> {
        let _turn = self.turn.lock().await;
        let now = self.clock.now();
        let id = derived_id("SIM", &["tick", &due.to_string(), order.scenario.attack_vector]);
        let stored = self.backends.store.simulation().await?;
        let reason = match &stored {
            Some(last) if last.simulation_id.as_deref() == Some(&id) => {
                if last.status == SimulationStatus::Running && last.events_generated == 0 {
                    // It may have been saved, and then not set off.
                    self.set_off(last).await?;
                }
                Some("this schedule time has started its simulation before".to_owned())
            }
            Some(last) if last.started_at.is_some_and(|started_at| due <= started_at) => {
                Some("a simulation was started since this schedule time".to_owned())
            }
            _ => None,
        };
        if let Some(reason) = reason {
            return Ok(Ticked::NotStarted(reason, stored.unwrap_or_else(SimulationState::idle)));
        }
        match self.save_start(order, id, stored.as_ref(), now).await {
            Ok(state) => {
                // When this fails the schedule comes again, and finds the simulation there.
                self.set_off(&state).await?;
                Ok(Ticked::Started(state))
            }
            Err(running @ StartError::AlreadyRunning(_)) => {
                let state = self.state().await?;
                Ok(Ticked::NotStarted(running.to_string(), state))
            }
            Err(StartError::Backend(error)) => Err(error),
        }
    }

    /// Saves a simulation that begins now, if none runs. The caller has the turn.
    async fn save_start(
        &self,
        order: &Order,
        id: String,
        stored: Option<&SimulationState>,
        now: Timestamp,
    ) -> Result<SimulationState, StartError> {
        let before = stored.and_then(|state| state.simulation_id.as_deref());
        if stored.is_some_and(|stored| stored.status == SimulationStatus::Running && !is_over(stored, now)) {
            return Err(StartError::AlreadyRunning(before.unwrap_or_default().to_owned()));
        }
        let state = SimulationState {
            status: SimulationStatus::Running,
            attack_vector: Some(order.scenario.attack_vector.to_owned()),
            simulation_id: Some(id),
            intensity: Some(order.intensity),
            target_eps: Some(order.target_eps),
            started_at: Some(now),
            duration_seconds: Some(order.duration_seconds),
            ..SimulationState::idle()
        };
        if !self.backends.store.save_simulation(&state, before, true, now).await? {
            return Err(StartError::AlreadyRunning(
                "another was started at the same moment".to_owned(),
            ));
        }
        Ok(state)
    }

    /// Has a saved simulation driven: by the worker, or by tasks. Doing it twice does no harm.
    async fn set_off(&self, state: &SimulationState) -> Result<(), BackendError> {
        self.live.send_replace(None);
        if self.config.workers {
            self.wake.notify_one();
            return Ok(());
        }
        let id = state.simulation_id.as_deref().unwrap_or_default();
        self.enqueue_slice(id, 0).await
    }

    /// Stops the simulation that runs; when none does, changes nothing. Nothing is appended after it returns.
    pub(crate) async fn stop(&self) -> Result<SimulationState, BackendError> {
        let _turn = self.turn.lock().await;
        let mut state = self.state().await?;
        if state.status != SimulationStatus::Running {
            return Ok(state);
        }
        let now = self.clock.now();
        if self.live.borrow().is_none() {
            state.elapsed_seconds = elapsed_seconds(&state, now);
        }
        self.end(&mut state, SimulationStatus::Stopped, now).await?;
        self.state().await
    }

    /// Saves the end of a simulation, if it is still the stored one. The caller has the turn.
    pub(crate) async fn end(
        &self,
        state: &mut SimulationState,
        status: SimulationStatus,
        now: Timestamp,
    ) -> Result<(), BackendError> {
        state.status = status;
        state.current_eps = 0.0;
        let id = state.simulation_id.as_deref();
        let saved = self.backends.store.save_simulation(state, id, true, now).await?;
        self.live.send_replace(None);
        tracing::info!(
            simulation_id = id.unwrap_or_default(),
            attack_vector = state.attack_vector.as_deref().unwrap_or_default(),
            events_generated = state.events_generated,
            status = status.as_str(),
            saved,
            "simulation ended"
        );
        Ok(())
    }
}

/// Whether a simulation's time has run out.
pub(crate) fn is_over(state: &SimulationState, now: Timestamp) -> bool {
    elapsed_seconds(state, now) >= state.duration_seconds.unwrap_or(0)
}

/// How long a simulation has run, at most its duration.
pub(crate) fn elapsed_seconds(state: &SimulationState, now: Timestamp) -> u32 {
    let elapsed = state.started_at.map_or(0, |start| now.since(start).as_secs());
    u32::try_from(elapsed)
        .unwrap_or(u32::MAX)
        .min(state.duration_seconds.unwrap_or(0))
}
