//! The simulator's routes.

#![expect(dead_code, reason = "these functions carry descriptions and are never called")]

use utoipa::ToSchema;

use super::push::TaskPush;
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

/// A simulation that a schedule starts. What is not named is `BRUTE_FORCE`, 60 seconds, `LOW`, 5 events a second.
#[derive(ToSchema)]
struct ScheduledOrder {
    /// When the call was due; not needed beside the header.
    schedule_time: Option<schema::Time>,
    /// A name of `/api/simulation/scenarios`.
    #[schema(example = "BRUTE_FORCE")]
    attack_vector: Option<String>,
    #[schema(minimum = 10, maximum = 300)]
    duration_seconds: Option<u32>,
    intensity: Option<schema::Intensity>,
    #[schema(minimum = 1, maximum = 500)]
    target_eps: Option<u32>,
}

/// What a schedule time came to.
#[derive(ToSchema)]
struct Ticked {
    started: bool,
    /// Why nothing was started.
    reason: Option<String>,
    /// The simulation that runs, or ran last.
    simulation: schema::SimulationState,
}

/// What came of a slice.
#[derive(ToSchema)]
struct SliceWorked {
    outcome: SliceOutcome,
    /// The next slice, when this one is out.
    next: Option<u32>,
    /// Why there was nothing to do.
    reason: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum SliceOutcome {
    /// Its lines are out, and the next slice is enqueued.
    Sent,
    /// The simulation has ended.
    Ended,
    /// There was nothing to do.
    Nothing,
    /// It can never be done, and is among the dead letters.
    GivenUp,
}

/// Start the simulation of a schedule
///
/// For Cloud Scheduler: one schedule time starts one simulation, however often it is called. Needs the role `admin`, or behind Cloud Run's IAM
/// an account that may push.
#[utoipa::path(
    post, path = "/tick", tag = "simulation", request_body = Option<ScheduledOrder>,
    params(("X-CloudScheduler-ScheduleTime" = Option<String>, Header, description = "When the call was due (RFC 3339)")),
    responses((status = 200, description = "It runs, or there is a reason that it does not", body = Ticked))
)]
fn tick() {}

/// Send a slice of a simulation
///
/// Any other answer makes the queue push it again. Needs the role `admin`, or behind Cloud Run's IAM an account that may push.
#[utoipa::path(post, path = "/tasks/simulate", tag = "simulation", request_body = TaskPush, responses((status = 200, body = SliceWorked)))]
fn task_simulate() {}

#[derive(utoipa::OpenApi)]
#[openapi(paths(scenarios, simulation_state, start_simulation, stop_simulation, tick, task_simulate))]
pub(super) struct Described;
