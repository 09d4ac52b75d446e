//! Telling the analyzer that there is something to analyse, where nothing of it runs between requests.
//!
//! One wake-up that begins after an append speaks for it, so that requests that come together share one: at most one is
//! under way, and whoever waited for it sends the next for all who wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use threatstream_backend::{Backends, DRAIN_QUEUE, Task};
use threatstream_domain::Clock;
use threatstream_runtime::metrics;
use threatstream_runtime::metrics::prometheus_client::metrics::counter::Counter;
use tokio::sync::Mutex;

/// A request waits no longer for its wake-up: the events are safe in the log, and a schedule drains it anyway.
const PATIENCE: Duration = Duration::from_secs(2);

/// Wakes the analyzer.
pub(crate) struct Wake {
    is_on: bool,
    /// Tells the wake-ups of this process from those of others: a queue takes an id once.
    process: u64,
    /// Appends that want a wake-up, so far.
    wanted: AtomicU64,
    /// Appends up to this number have had theirs.
    covered: Mutex<u64>,
    sent: Counter,
    failed: Counter,
}

impl Wake {
    /// `is_on`: the analyzer works when it is woken up; otherwise nothing is sent.
    pub(crate) fn new(is_on: bool) -> Self {
        Self {
            is_on,
            process: rand::random(),
            wanted: AtomicU64::new(0),
            covered: Mutex::new(0),
            sent: metrics::counter(
                "threatstream_wakeups_sent",
                "Wake-ups of the analyzer that the queue took",
            ),
            failed: metrics::counter(
                "threatstream_wakeups_failed",
                "Appends whose wake-up of the analyzer the queue did not take in time",
            ),
        }
    }

    /// Returns once the queue has a wake-up that was sent after this call began, or after two seconds. That it fails is
    /// logged and counted, and is no failure of the caller's.
    pub(crate) async fn up(&self, backends: &Backends, clock: &Clock) {
        if !self.is_on {
            return;
        }
        let number = self.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        let error = match tokio::time::timeout(PATIENCE, self.send(number, backends, clock)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        self.failed.inc();
        tracing::warn!(error, "the analyzer was not woken up; its schedule finds what came");
    }

    async fn send(
        &self,
        number: u64,
        backends: &Backends,
        clock: &Clock,
    ) -> Result<(), threatstream_backend::BackendError> {
        let mut covered = self.covered.lock().await;
        if *covered >= number {
            return Ok(());
        }
        // Whoever asks from here on is not spoken for: he may have appended after the analyzer looked.
        let wanted = self.wanted.load(Ordering::SeqCst);
        let task = Task {
            queue: DRAIN_QUEUE.to_owned(),
            id: format!("wake-{:016x}-{wanted}", self.process),
            payload: json!({}),
        };
        backends.tasks.enqueue(vec![task], clock.now()).await?;
        *covered = wanted;
        self.sent.inc();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
