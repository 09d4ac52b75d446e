//! A simulation driven by tasks, where nothing of this process runs between its requests: each task sends a slice of the lines and
//! enqueues the next one.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use threatstream_backend::{BackendError, SIMULATE_QUEUE, Task};
use tokio::time::Instant;

use crate::control::Simulator;
use crate::run::{Run, Slice, Step};

/// After this long a slice gives its request back, and is tried again: only a log that takes nothing keeps one so long.
const LIMIT: Duration = Duration::from_secs(100);

/// What a task of the queue `simulate` asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Which simulation.
    pub(crate) simulation_id: String,
    /// Which of its slices, from 0.
    pub(crate) slice: u32,
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Worked {
    /// Its lines are out, and the next slice is enqueued.
    Sent {
        /// The next slice.
        next: u32,
    },
    /// The simulation has ended.
    Ended,
    /// There was nothing to do.
    Nothing {
        /// Why.
        reason: &'static str,
    },
    /// It can never be done: it is a dead letter.
    GivenUp,
}

/// Why a slice is not out. All but a backend that refuses may pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SliceError {
    /// A slice is at work in this process.
    #[error("a slice is at work here already")]
    Busy,
    /// The process ends, or the time is up.
    #[error("the slice was put off before all of it was out")]
    PutOff,
    /// The log, the store or the queue failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl SliceError {
    /// True when the same task can succeed later.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Busy | Self::PutOff => true,
            Self::Backend(error) => error.is_retryable(),
        }
    }
}

impl Simulator {
    /// Enqueues slice `number` of a simulation; the same one twice is one task where the queue can see to that, and one effect
    /// everywhere.
    pub(crate) async fn enqueue_slice(&self, simulation_id: &str, number: u32) -> Result<(), BackendError> {
        let asked = Asked {
            simulation_id: simulation_id.to_owned(),
            slice: number,
        };
        let task = Task {
            queue: SIMULATE_QUEUE.to_owned(),
            id: format!("simulate-{simulation_id}-{number}"),
            payload: serde_json::json!(asked),
        };
        self.backends.tasks.enqueue(vec![task], self.clock.now()).await
    }
}

/// Sends a slice's lines as they become due, and enqueues the next slice. Of a slice that was begun before, what is known to be out is
/// not sent again; what is sent again all the same has the ids that it had, and is known for a duplicate.
pub(crate) async fn work(
    simulator: &Arc<Simulator>,
    asked: &Asked,
    stopping: impl Future<Output = ()>,
) -> Result<Worked, SliceError> {
    if simulator.config.workers {
        let reason = "a worker of this process drives the simulation";
        return Ok(Worked::Nothing { reason });
    }
    let Ok(_driving) = simulator.driving.try_lock() else {
        return Err(SliceError::Busy);
    };
    match Run::slice(simulator, &asked.simulation_id, asked.slice).await? {
        Slice::Obsolete(reason) => return Ok(Worked::Nothing { reason }),
        Slice::Out => {}
        Slice::Run(run) => match drive(*run, stopping).await {
            Ok(Step::Over) => return Ok(Worked::Ended),
            Ok(_) => {}
            Err(error) => {
                if !error.is_retryable() {
                    // No other slice would fare better.
                    simulator.stop().await?;
                }
                return Err(error);
            }
        },
    }
    let next = asked.slice.saturating_add(1);
    simulator.enqueue_slice(&asked.simulation_id, next).await?;
    Ok(Worked::Sent { next })
}

async fn drive(mut run: Run, stopping: impl Future<Output = ()>) -> Result<Step, SliceError> {
    let until = Instant::now() + LIMIT;
    tokio::pin!(stopping);
    loop {
        let wait = match run.step().await? {
            Step::Wait(wait) => wait,
            ended => return Ok(ended),
        };
        let put_off = Instant::now() + wait > until;
        tokio::select! {
            () = &mut stopping => {}
            () = tokio::time::sleep(wait), if !put_off => continue,
            () = std::future::ready(()), if put_off => {}
        }
        run.interrupt().await?;
        return Err(SliceError::PutOff);
    }
}
