//! What runs beside the requests: whatever simulation is to run.

use std::sync::Arc;

use threatstream_backend::BackendError;
use tokio_util::sync::CancellationToken;

use crate::control::Simulator;
use crate::run::{Run, Step};

/// Runs whatever simulation is to run, until `stop`. One that was running when the process ended is continued.
///
/// # Errors
/// What no wait inside can heal: the store does not answer at the start, or refuses.
pub(crate) async fn work(simulator: Arc<Simulator>, stop: CancellationToken) -> anyhow::Result<()> {
    loop {
        if let Some(run) = Run::resume(&simulator).await? {
            drive(run, &stop).await?;
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = simulator.wake.notified() => {}
        }
    }
}

async fn drive(mut run: Run, stop: &CancellationToken) -> Result<(), BackendError> {
    while let Step::Wait(wait) = run.step().await? {
        tokio::select! {
            () = stop.cancelled() => return run.interrupt().await,
            () = tokio::time::sleep(wait) => {}
        }
    }
    Ok(())
}
