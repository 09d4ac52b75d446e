//! Workers: run, and run again when they fail.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::function::Worker;
use crate::guard::panic_message;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A worker that ran this long has recovered from what failed before.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);
/// Failures in a row that make the function unready. Fewer are a hiccup.
const UNREADY_AFTER: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Running,
    /// Failed, and waits to be run again.
    Waiting,
    /// Returned `Ok`, or was cancelled.
    Done,
}

/// What `/readyz` says of a worker.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct WorkerReport {
    state: State,
    /// In a row, without having run for a minute in between.
    failures: u32,
    restarts: u64,
}

impl WorkerReport {
    pub(crate) fn is_ready(&self) -> bool {
        self.failures < UNREADY_AFTER
    }
}

/// How a worker is doing.
pub(crate) struct WorkerStatus {
    name: &'static str,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    failures: u32,
    restarts: u64,
    since: Instant,
}

impl WorkerStatus {
    pub(crate) fn new(name: &'static str) -> Arc<Self> {
        let inner = Inner {
            state: State::Waiting,
            failures: 0,
            restarts: 0,
            since: Instant::now(),
        };
        Arc::new(Self {
            name,
            inner: Mutex::new(inner),
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn report(&self) -> WorkerReport {
        let inner = self.inner.lock();
        let recovered = inner.state == State::Running && inner.since.elapsed() >= RECOVERED_AFTER;
        WorkerReport {
            state: inner.state,
            failures: if recovered { 0 } else { inner.failures },
            restarts: inner.restarts,
        }
    }

    fn enter(&self, state: State) {
        let mut inner = self.inner.lock();
        inner.state = state;
        inner.since = Instant::now();
    }

    /// Counts a failure and says how long to wait.
    fn fail(&self) -> Duration {
        let mut inner = self.inner.lock();
        if inner.since.elapsed() >= RECOVERED_AFTER {
            inner.failures = 0;
        }
        inner.failures = inner.failures.saturating_add(1);
        inner.restarts += 1;
        inner.state = State::Waiting;
        let doublings = (inner.failures - 1).min(16);
        FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
    }
}

/// Runs the worker until it is done or `token` is cancelled and it has returned.
pub(crate) async fn supervise(mut worker: Worker, status: Arc<WorkerStatus>, token: CancellationToken) {
    let span = tracing::info_span!("worker", worker = worker.name);
    async move {
        while !token.is_cancelled() {
            status.enter(State::Running);
            let child = token.child_token();
            // Inside the future, so that a panic while it is made is caught as well.
            let attempt = async { (worker.run)(child).await };
            let failure = match AssertUnwindSafe(attempt).catch_unwind().await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => format!("{error:#}"),
                Err(panic) => format!("panicked: {}", panic_message(&*panic)),
            };
            let pause = status.fail();
            let failures = status.report().failures;
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tracing::error!(error = %failure, failures, pause_ms, "worker failed and will be run again");
            tokio::select! {
                () = token.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        status.enter(State::Done);
    }
    .instrument(span)
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::Router;

    use super::*;
    use crate::function::Function;

    fn worker<F, R>(run: R) -> Worker
    where
        R: FnMut(CancellationToken) -> F + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Function::new("test", Router::new()).worker("w", run).workers.remove(0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_fails_or_panics_runs_again_after_a_growing_pause() {
        let (runs, status) = (Arc::new(AtomicU32::new(0)), WorkerStatus::new("w"));
        let started = Instant::now();
        let (counted, seen) = (Arc::clone(&runs), Arc::clone(&status));
        let worker = worker(move |_| {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            assert_ne!(run, 1, "panics while it is made");
            let report = seen.report();
            async move {
                match run {
                    0 => anyhow::bail!("no luck"),
                    2 => panic!("inside"),
                    3 => {
                        assert!(!report.is_ready() && report.failures == 3);
                        Ok(())
                    }
                    _ => Ok(()),
                }
            }
        });
        supervise(worker, Arc::clone(&status), CancellationToken::new()).await;
        assert_eq!(runs.load(Ordering::SeqCst), 4);
        assert_eq!(started.elapsed(), Duration::from_millis(100 + 200 + 400));
        assert_eq!(status.report().state, State::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_is_capped_and_a_long_run_forgets_failures() {
        let status = WorkerStatus::new("w");
        status.enter(State::Running);
        let longest = (0..100).map(|_| status.fail()).max();
        assert_eq!(longest, Some(LONGEST_PAUSE));
        status.enter(State::Running);
        assert!(!status.report().is_ready());
        tokio::time::advance(RECOVERED_AFTER).await;
        assert!(status.report().is_ready());
        assert_eq!(status.fail(), FIRST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_ends_the_pause_too() {
        let token = CancellationToken::new();
        let cancel = token.clone();
        let failing = worker(move |_| {
            cancel.cancel();
            async { anyhow::bail!("fails") }
        });
        let started = Instant::now();
        supervise(failing, WorkerStatus::new("w"), token).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
