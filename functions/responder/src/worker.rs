//! Takes tasks from the queue, several at once.

use std::sync::Arc;
use std::time::Duration;

use threatstream_backend::{Delivery, Failed, RESPOND_QUEUE};
use threatstream_runtime::CancellationToken;
use tokio::task::JoinSet;

use crate::execution::{Engine, INTERRUPTED_AFTER};
use crate::task::Work;

/// How many tasks are worked at once.
const AT_ONCE: usize = 4;
/// How long one is the worker's. Work that takes longer may come to another worker too, which does no harm.
const LEASE: Duration = Duration::from_secs(120);
/// How long one question to the queue waits for work.
const WAIT: Duration = Duration::from_secs(20);
/// How long work may take that is under way when the process stops; what is then cut off is found after the restart.
const DRAIN: Duration = Duration::from_secs(5);

// A step whose worker crashed is given up as interrupted by the time its task comes again.
const _: () = assert!(INTERRUPTED_AFTER.as_secs() < LEASE.as_secs());

/// Works until `stop` is cancelled.
///
/// # Errors
/// The queue does not answer; the caller starts again after a pause.
pub(crate) async fn respond(engine: Arc<Engine>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut running = JoinSet::new();
    let taken = take_until_stopped(&engine, &mut running, &stop).await;
    let drained = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("stopping while playbooks are at work; they go on after the restart");
    }
    taken
}

async fn take_until_stopped(
    engine: &Arc<Engine>,
    running: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let tasks = &engine.backends.tasks;
    loop {
        while running.try_join_next().is_some() {}
        let free = AT_ONCE - running.len();
        if free == 0 {
            tokio::select! {
                _ = running.join_next() => continue,
                () = stop.cancelled() => return Ok(()),
            }
        }
        let take = tasks.take(RESPOND_QUEUE, free, LEASE, engine.clock.now(), WAIT);
        let deliveries = tokio::select! {
            biased;
            // What was handed out as the process stops comes again when its lease is over.
            () = stop.cancelled() => return Ok(()),
            deliveries = take => deliveries?,
        };
        for delivery in deliveries {
            let (engine, stop) = (Arc::clone(engine), stop.clone());
            running.spawn(async move { handle(&engine, &delivery, &stop).await });
        }
    }
}

/// Works one delivery and tells the queue what came of it.
pub(crate) async fn handle(engine: &Engine, delivery: &Delivery, stop: &CancellationToken) {
    let task_id = delivery.task.id.as_str();
    let tasks = &engine.backends.tasks;
    let worked = match Work::parse(&delivery.task.payload) {
        Ok(work) => work.perform(engine, stop).await,
        Err(error) => Err(error),
    };
    let told = match worked {
        Ok(()) => tasks.complete(delivery, engine.clock.now()).await,
        Err(error) => {
            let attempt = delivery.attempt;
            tracing::warn!(task_id, attempt, retryable = error.is_retryable(), %error, "task failed");
            let failed = tasks.fail(delivery, &error.to_string(), engine.clock.now()).await;
            if let Ok(Failed::Dead) = failed {
                tracing::error!(task_id, attempt, %error, "task given up: a dead letter");
            }
            failed.map(drop)
        }
    };
    if let Err(error) = told {
        // The task comes again when its lease is over, and finds its work done.
        tracing::warn!(task_id, %error, "the queue could not be told");
    }
}

#[cfg(test)]
mod tests;
