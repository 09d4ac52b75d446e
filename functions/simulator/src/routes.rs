//! The HTTP interface.

mod tasks;
mod tick;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::{Map, Value};
use threatstream_backend::BackendError;
use threatstream_domain::SimulationState;
use threatstream_runtime::{Json, Problem};

use crate::control::{Simulator, StartError};
use crate::order::Order;
use crate::scenario::{SCENARIOS, Scenario};

pub(crate) fn router(simulator: Arc<Simulator>) -> Router {
    Router::new()
        .route("/api/simulation/scenarios", get(scenarios))
        .route("/api/simulation/state", get(state))
        .route("/api/simulation/start", post(start))
        .route("/api/simulation/stop", post(stop))
        .route("/tick", post(tick::tick))
        .route("/tasks/simulate", post(tasks::simulate))
        .with_state(simulator)
}

#[derive(Serialize)]
struct Scenarios {
    enabled: bool,
    max_eps: u32,
    count: usize,
    scenarios: &'static [&'static Scenario],
}

async fn scenarios(State(simulator): State<Arc<Simulator>>) -> Json<Scenarios> {
    let config = &simulator.config;
    Json(Scenarios {
        enabled: config.enabled,
        max_eps: config.max_eps,
        count: SCENARIOS.len(),
        scenarios: SCENARIOS,
    })
}

async fn state(State(simulator): State<Arc<Simulator>>) -> Result<Json<SimulationState>, Problem> {
    Ok(Json(simulator.state().await.map_err(|error| problem(&error))?))
}

async fn start(
    State(simulator): State<Arc<Simulator>>,
    request: Request,
) -> Result<(StatusCode, Json<SimulationState>), Problem> {
    if !simulator.config.enabled {
        return Err(Problem::forbidden(DISABLED));
    }
    // Without a body nothing is named, which the order then says field by field.
    let body = if request.body().is_end_stream() {
        Map::new()
    } else {
        match Json::<Value>::from_request(request, &()).await?.0 {
            Value::Object(body) => body,
            _ => return Err(Problem::bad_request("the body must be a JSON object").field("body", "expected an object")),
        }
    };
    let order = Order::read(&body, &simulator.config)?;
    match simulator.start(&order).await {
        Ok(state) => Ok((StatusCode::ACCEPTED, Json(state))),
        Err(StartError::Backend(error)) => Err(problem(&error)),
        Err(running @ StartError::AlreadyRunning(_)) => Err(Problem::conflict(running.to_string())),
    }
}

async fn stop(State(simulator): State<Arc<Simulator>>) -> Result<Json<SimulationState>, Problem> {
    Ok(Json(simulator.stop().await.map_err(|error| problem(&error))?))
}

/// Why nothing starts where simulations may not run.
const DISABLED: &str = "simulation is disabled here (SIMULATION_ENABLED=false)";

/// A failed backend, as clients see it: the cause goes to the log alone.
fn problem(error: &BackendError) -> Problem {
    tracing::error!(%error, "a backend failed");
    if error.is_retryable() {
        Problem::unavailable("a backend does not answer", Duration::from_secs(1))
    } else {
        Problem::internal("the request could not be processed")
    }
}
