//! `POST /drain`: everything that is there is analysed within the request, and nothing runs between requests.
//!
//! A wake-up carries nothing: it says that there may be something. Drains of one process take turns. A request that comes while
//! another's drain is under way waits for it, and is answered with what that one did if it looked once more after the request
//! came; otherwise it drains itself. Whoever drains looks once more after its leases are given back: a wake-up that
//! another process could do nothing with, because the leases were held, concerns records that this look sees.

mod look;
mod report;
mod run;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use http::HeaderMap;
use serde_json::json;
use threatstream_backend::{DRAIN_QUEUE, Task};
use threatstream_domain::Clock;
use threatstream_runtime::{Json, Problem, PushAuth, Shutdown};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::failure::problem;
use crate::{Dependencies, StageError};
pub use report::{Report, Status};
pub(crate) use run::Offers;
use run::{Ended, Limits, Stages};

/// Drains the topics, one drain at a time.
pub(crate) struct Drainer {
    pub(crate) dependencies: Dependencies,
    auth: PushAuth,
    drain_for: Duration,
    /// Requests so far; the number of a request.
    asked: AtomicU64,
    turn: Arc<Mutex<Turn>>,
}

/// What goes from one drain to the next.
#[derive(Default)]
struct Turn {
    stages: Stages,
    /// Requests up to this number have nothing left to do, and what the drain did that found so.
    covered: Option<(u64, Report)>,
}

impl Drainer {
    pub(crate) fn new(dependencies: Dependencies, auth: PushAuth, drain_for: Duration) -> Self {
        Self {
            dependencies,
            auth,
            drain_for,
            asked: AtomicU64::new(0),
            turn: Arc::default(),
        }
    }

    /// Whether the sender of these headers may ask for anything.
    pub(crate) fn authorize(&self, headers: &HeaderMap) -> Result<(), Problem> {
        self.auth.authorize(headers, self.clock().now().as_millis())
    }

    fn clock(&self) -> &Clock {
        &self.dependencies.clock
    }

    /// Drains both topics, or waits for the drain that does. `offers` are records that need not be read from the log.
    ///
    /// # Errors
    /// What a stage failed with; what the others could do is done.
    pub(crate) async fn drain(self: &Arc<Self>, offers: Offers, shutdown: Shutdown) -> Result<Report, StageError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let limits = Limits {
            deadline: Instant::now() + self.drain_for,
            shutdown,
        };
        let mut turn = Arc::clone(&self.turn).lock_owned().await;
        if let Some((covered, report)) = &turn.covered
            && *covered >= number
        {
            return Ok(Report {
                joined: true,
                ..report.clone()
            });
        }
        // In a task of its own: a caller that hangs up must not cut a batch in two.
        let drainer = Arc::clone(self);
        let drain = tokio::spawn(async move {
            // Gone from the turn while it is at work: after a panic the stages start from their checkpoints.
            let mut stages = std::mem::take(&mut turn.stages);
            let asked = || drainer.asked.load(Ordering::SeqCst);
            let Ended {
                report,
                covers,
                is_left,
            } = run::run(&drainer.dependencies, &mut stages, offers, limits, asked).await;
            turn.stages = stages;
            if let (Ok(report), Some(covers)) = (&report, covers) {
                turn.covered = Some((covers, report.clone()));
            }
            if is_left {
                drainer.wake_next().await;
            }
            report
        });
        drain.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a drain failed");
            Err(StageError::Stopping)
        })
    }

    /// Asks for another drain, so that what is left need not wait for the schedule.
    async fn wake_next(&self) {
        let now = self.clock().now();
        let task = Task {
            queue: DRAIN_QUEUE.to_owned(),
            id: format!("drain-{}-{}", self.dependencies.owner, now.as_micros()),
            payload: json!({}),
        };
        if let Err(error) = self.dependencies.backends.tasks.enqueue(vec![task], now).await {
            tracing::warn!(%error, "what is left waits for the next wake-up");
        }
    }
}

/// Answers `POST /drain`. What comes with it is not looked at: a wake-up of Pub/Sub, and a schedule's call, say the same.
pub(crate) async fn post_drain(
    State(drainer): State<Arc<Drainer>>,
    shutdown: Option<Extension<Shutdown>>,
    headers: HeaderMap,
) -> Result<Json<Report>, Problem> {
    drainer.authorize(&headers)?;
    let shutdown = shutdown.map(|Extension(shutdown)| shutdown).unwrap_or_default();
    let report = drainer
        .drain(Offers::new(), shutdown)
        .await
        .map_err(|error| problem(&error))?;
    tracing::info!(
        status = ?report.status,
        joined = report.joined,
        events = report.events_matched,
        matches = report.matches_judged,
        threats = report.threats_stored,
        held = report.partitions_held,
        pending = report.pending,
        ms = report.duration_ms,
        "drained"
    );
    Ok(Json(report))
}
