//! The state of the simulation that runs, or ran last.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::closed_set::closed_set;

closed_set! {
    /// How far a simulation is.
    SimulationStatus, "status" {
        /// None has run.
        Idle = "IDLE",
        /// At work.
        Running = "RUNNING",
        /// Ran to its end.
        Completed = "COMPLETED",
        /// Was told to stop.
        Stopped = "STOPPED",
    }
}

closed_set! {
    /// How hard a simulation hits.
    Intensity, "intensity" {
        /// A patient attacker.
        Low = "LOW",
        /// The usual.
        Medium = "MEDIUM",
        /// All at once.
        High = "HIGH",
    }
}

/// A simulation as the API and the socket show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimulationState {
    /// How far it is.
    pub status: SimulationStatus,
    /// Which scenario, as `BRUTE_FORCE`.
    pub attack_vector: Option<String>,
    /// `SIM-` and 20 hexadecimal digits.
    pub simulation_id: Option<String>,
    /// How hard it hits.
    pub intensity: Option<Intensity>,
    /// Events a second it aims at.
    pub target_eps: Option<u32>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// How long it is to run.
    pub duration_seconds: Option<u32>,
    /// How long it has run.
    pub elapsed_seconds: u32,
    /// How many events it has sent.
    pub events_generated: u64,
    /// Events a second over the last second.
    pub current_eps: f64,
}

impl SimulationState {
    /// Before any has run.
    #[must_use]
    pub fn idle() -> Self {
        Self {
            status: SimulationStatus::Idle,
            attack_vector: None,
            simulation_id: None,
            intensity: None,
            target_eps: None,
            started_at: None,
            duration_seconds: None,
            elapsed_seconds: 0,
            events_generated: 0,
            current_eps: 0.0,
        }
    }
}
