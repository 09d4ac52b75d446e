//! The simulator's routes.

#![expect(dead_code, reason = "these functions carry descriptions and are never called")]

use utoipa::ToSchema;

use crate::openapi::schema;

/// A simulation to start. What is not named is 60 seconds, `MEDIUM`, 20 events a second.
#[derive(ToSchema)]
struct SimulationOrder {
    /// A name of `/api/simulation/scenarios`.
    #[schema(example = "BRUTE_FORCE")]
    attack_vector: String,
    #[schema(minimum = 10, maximum = 300)]
    duration_seconds: Option<u32>,
    intensity: Option<schema::Intensity>,
    #[schema(minimum = 1, maximum = 500)]
    target_eps: Option<u32>,
}

/// The scenarios there are.
#[derive(ToSchema)]
struct Scenarios {
    /// Whether simulations may be started.
    enabled: bool,
    /// The most events a second.
    max_eps: u32,
    count: usize,
    scenarios: Vec<Scenario>,
}

/// What can be simulated.
#[derive(ToSchema)]
struct Scenario {
    #[schema(example = "BRUTE_FORCE")]
    attack_vector: String,
    title: String,
    description: String,
    /// What a detector should call it; null: it should keep quiet.
    threat_type: Option<schema::ThreatType>,
    mitre_attack_ids: Vec<String>,
}

/// Scenarios to choose from
#[utoipa::path(get, path = "/api/simulation/scenarios", tag = "simulation", responses((status = 200, body = Scenarios)))]
fn scenarios() {}

/// The simulation that runs, or ran last
#[utoipa::path(get, path = "/api/simulation/state", tag = "simulation", responses((status = 200, body = schema::SimulationState)))]
fn simulation_state() {}

/// Start a simulation
#[utoipa::path(
    post, path = "/api/simulation/start", tag = "simulation", request_body = SimulationOrder,
    responses((status = 202, description = "It runs", body = schema::SimulationState))
)]
fn start_simulation() {}

/// Stop the simulation
#[utoipa::path(post, path = "/api/simulation/stop", tag = "simulation", responses((status = 200, body = schema::SimulationState)))]
fn stop_simulation() {}

#[derive(utoipa::OpenApi)]
#[openapi(paths(scenarios, simulation_state, start_simulation, stop_simulation))]
pub(super) struct Described;
