//! The state of the simulation, and secrets kept with the data.

use async_trait::async_trait;
use bytes::Bytes;
use threatstream_domain::{SimulationState, Timestamp};

use crate::BackendError;

/// The simulation's state.
#[async_trait]
pub trait Simulations: Send + Sync {
    /// The simulation that runs, or ran last; `None` before the first.
    async fn simulation(&self) -> Result<Option<SimulationState>, BackendError>;

    /// Saves the state and tells the dashboards (`simulation_update`) when `tell` says so. When `expected_id` is given, only if
    /// the stored simulation is that one (a stopped run must not overwrite the next one); false: it is not.
    async fn save_simulation(
        &self,
        state: &SimulationState,
        expected_id: Option<&str>,
        tell: bool,
        now: Timestamp,
    ) -> Result<bool, BackendError>;
}

/// Small values that a deployment makes once and keeps, such as a key.
#[async_trait]
pub trait Settings: Send + Sync {
    /// The kept value; when there is none, `fresh` is kept, durably, and returned. Of two callers at once, one's is kept.
    async fn keep(&self, name: &str, fresh: Bytes) -> Result<Bytes, BackendError>;
}
