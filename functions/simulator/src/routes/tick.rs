//! `POST /tick`: what a scheduler calls to have a simulation run.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value};
use threatstream_domain::{SimulationState, Timestamp};
use threatstream_runtime::extract::from_json;
use threatstream_runtime::{Json, Problem};

use super::{DISABLED, problem};
use crate::control::{Simulator, Ticked};
use crate::order::{Order, SCHEDULE_TIME};

/// When the call was due, as Cloud Scheduler says it; the same at every retry.
const SCHEDULE_HEADER: &str = "x-cloudscheduler-scheduletime";

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    started: bool,
    /// Why nothing was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The simulation that runs or ran last.
    simulation: SimulationState,
}

/// 200 whether it started one or had a reason not to: a scheduler tries again what is answered otherwise. The body may be of any media
/// type, because schedulers name none.
pub(super) async fn tick(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Answer>, Problem> {
    let config = &simulator.config;
    config.push.authorize(&headers, simulator.clock.now().as_millis())?;
    let body: Map<String, Value> = if body.is_empty() {
        Map::new()
    } else {
        match from_json(&body)? {
            Value::Object(body) => body,
            _ => return Err(Problem::bad_request("the body must be a JSON object").field("body", "expected an object")),
        }
    };
    let due = schedule_time(&headers, &body)?;
    let order = Order::read_scheduled(body, config)?;
    let ticked = if config.enabled {
        simulator.tick(&order, due).await.map_err(|error| problem(&error))?
    } else {
        let state = simulator.state().await.map_err(|error| problem(&error))?;
        Ticked::NotStarted(DISABLED.to_owned(), state)
    };
    let (started, reason, simulation) = match ticked {
        Ticked::Started(simulation) => (true, None, simulation),
        Ticked::NotStarted(reason, simulation) => (false, Some(reason), simulation),
    };
    tracing::info!(
        %due,
        started,
        reason,
        simulation_id = simulation.simulation_id,
        attack_vector = order.scenario.attack_vector,
        "scheduled simulation"
    );
    Ok(Json(Answer {
        started,
        reason,
        simulation,
    }))
}

/// The header's time, or the body's.
fn schedule_time(headers: &HeaderMap, body: &Map<String, Value>) -> Result<Timestamp, Problem> {
    let wrong = |field: &str, message: &str| {
        Err(Problem::bad_request("the call does not say when it was due").field(field, message))
    };
    let header = headers
        .get(SCHEDULE_HEADER)
        .map(|value| value.to_str().unwrap_or_default());
    let (field, text) = match (header, body.get(SCHEDULE_TIME)) {
        (Some(text), _) => (SCHEDULE_HEADER, text),
        (None, Some(Value::String(text))) => (SCHEDULE_TIME, text.as_str()),
        (None, _) => {
            let message =
                "expected a time such as 2026-11-22T09:00:00Z here, or in the header X-CloudScheduler-ScheduleTime";
            return wrong(SCHEDULE_TIME, message);
        }
    };
    match text.parse() {
        Ok(due) => Ok(due),
        Err(_) => wrong(field, "expected a time such as 2026-11-22T09:00:00Z"),
    }
}
