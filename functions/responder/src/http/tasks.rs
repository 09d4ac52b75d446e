//! `POST /tasks/respond`: a task that the queue pushes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, State};
use http::{HeaderMap, StatusCode};
use threatstream_backend::{RESPOND_QUEUE, Task};
use threatstream_runtime::{CancellationToken, Problem, PushEnvelope, PushedTask, Shutdown};

use super::unavailable;
use crate::execution::{Engine, RunError};
use crate::task::Work;

/// 204 when the work is done, or can never be done and is a dead letter now; anything else makes the queue send it again, until the
/// queue gives up.
pub(super) async fn respond(
    State(engine): State<Arc<Engine>>,
    shutdown: Option<Extension<Shutdown>>,
    headers: HeaderMap,
    envelope: PushEnvelope,
) -> Result<StatusCode, Problem> {
    let now = engine.clock.now();
    engine.push.authorize(&headers, now.as_millis())?;
    let (pushed, work) = match envelope.task(RESPOND_QUEUE) {
        Ok(pushed) => {
            let work = Work::parse(&pushed.payload);
            (pushed, work)
        }
        Err(problem) => {
            let work = Err(RunError::Payload(problem.to_string()));
            (envelope.undeliverable(RESPOND_QUEUE), work)
        }
    };
    let PushedTask {
        queue,
        id,
        payload,
        attempt,
    } = pushed;
    let worked = match work {
        Ok(work) => perform(&engine, &work, shutdown.as_deref()).await,
        Err(error) => Err(error),
    };
    let Err(error) = worked else {
        return Ok(StatusCode::NO_CONTENT);
    };
    if error.is_retryable() {
        tracing::warn!(task_id = id, attempt, %error, "pushed task failed");
        return Err(match error {
            RunError::Backend(error) => unavailable(&error),
            other => Problem::unavailable(other.to_string(), Duration::from_secs(10)),
        });
    }
    tracing::error!(task_id = id, attempt, %error, "task given up: a dead letter");
    let task = Task { queue, id, payload };
    let tasks = &engine.backends.tasks;
    let buried = tasks.bury(task, attempt, &error.to_string(), now).await;
    buried.map_err(|error| unavailable(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Does the work, and puts off what is not begun when the process stops.
async fn perform(engine: &Engine, work: &Work, shutdown: Option<&Shutdown>) -> Result<(), RunError> {
    let stop = CancellationToken::new();
    let watch = async {
        if let Some(shutdown) = shutdown {
            shutdown.stopping().await;
            stop.cancel();
        }
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        worked = work.perform(engine, &stop) => worked,
        never = watch => match never {},
    }
}
