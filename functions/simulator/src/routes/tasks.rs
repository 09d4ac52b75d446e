//! `POST /tasks/simulate`: a slice of a simulation, pushed by the queue.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::Deserialize;
use threatstream_backend::{SIMULATE_QUEUE, Task};
use threatstream_runtime::{Problem, PushEnvelope, PushedTask, Shutdown};

use super::problem;
use crate::control::Simulator;
use crate::slices::{Asked, SliceError, Worked, work};

/// 200 when the slice is out, or there was nothing to do, or it can never be done and is a dead letter now; anything else makes the queue
/// send it again.
pub(super) async fn simulate(
    State(simulator): State<Arc<Simulator>>,
    shutdown: Option<Extension<Shutdown>>,
    headers: HeaderMap,
    envelope: PushEnvelope,
) -> Result<Json<Worked>, Problem> {
    let now = simulator.clock.now();
    simulator.config.push.authorize(&headers, now.as_millis())?;
    let (pushed, asked) = match envelope.task(SIMULATE_QUEUE) {
        Ok(pushed) => {
            let asked = Asked::deserialize(&pushed.payload).map_err(|error| error.to_string());
            (pushed, asked)
        }
        Err(problem) => (envelope.undeliverable(SIMULATE_QUEUE), Err(problem.to_string())),
    };
    let PushedTask {
        queue,
        id,
        payload,
        attempt,
    } = pushed;
    let error = match asked {
        Err(error) => error,
        Ok(asked) => {
            let stopping = async {
                match &shutdown {
                    Some(Extension(shutdown)) => shutdown.stopping().await,
                    None => std::future::pending().await,
                }
            };
            match work(&simulator, &asked, stopping).await {
                Ok(worked) => {
                    tracing::info!(task_id = id, attempt, ?worked, "slice of a simulation");
                    return Ok(Json(worked));
                }
                Err(error) if error.is_retryable() => {
                    tracing::warn!(task_id = id, attempt, %error, "slice of a simulation not out yet");
                    return Err(match error {
                        SliceError::Backend(error) => problem(&error),
                        SliceError::Busy | SliceError::PutOff => {
                            Problem::unavailable(error.to_string(), Duration::from_secs(5))
                        }
                    });
                }
                Err(error) => error.to_string(),
            }
        }
    };
    tracing::error!(task_id = id, attempt, error, "task given up: a dead letter");
    let task = Task { queue, id, payload };
    let tasks = &simulator.backends.tasks;
    tasks
        .bury(task, attempt, &error, now)
        .await
        .map_err(|error| problem(&error))?;
    Ok(Json(Worked::GivenUp))
}
