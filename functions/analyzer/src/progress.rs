//! Telling the log how far the partitions of a topic are, for its own monitoring.

use std::collections::BTreeMap;
use std::time::Duration;

use threatstream_backend::Backends;
use tokio::time::Instant;

/// The log is told no more often than this.
const EVERY: Duration = Duration::from_secs(1);
/// Monitoring must not hold up the work for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was committed and the log has not been told yet.
#[derive(Default)]
pub(crate) struct Progress {
    untold: BTreeMap<u32, u64>,
    told_at: Option<Instant>,
}

impl Progress {
    /// A partition's checkpoint has moved to `next_offset`.
    pub(crate) fn moved(&mut self, partition: u32, next_offset: u64) {
        self.untold.insert(partition, next_offset);
    }

    /// Tells the log, unless that was done a moment ago.
    pub(crate) async fn tell(&mut self, backends: &Backends, topic: &str) {
        if self.told_at.is_none_or(|at| at.elapsed() >= EVERY) {
            self.tell_now(backends, topic).await;
        }
    }

    /// Tells the log what is untold. That this fails costs nothing but the monitoring: the checkpoints are in the store.
    pub(crate) async fn tell_now(&mut self, backends: &Backends, topic: &str) {
        if self.untold.is_empty() {
            return;
        }
        let next_offsets: Vec<(u32, u64)> = std::mem::take(&mut self.untold).into_iter().collect();
        self.told_at = Some(Instant::now());
        match tokio::time::timeout(PATIENCE, backends.log.report_progress(topic, &next_offsets)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, topic, "the log was not told how far the analysis is"),
            Err(_) => tracing::warn!(topic, "the log took too long to be told how far the analysis is"),
        }
    }
}
