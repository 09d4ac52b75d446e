//! Counters of what was handed in.

use threatstream_runtime::metrics;
use threatstream_runtime::metrics::prometheus_client::metrics::counter::Counter;

use super::answer::Outcome;

/// Counters of what was handed in.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    accepted: Counter,
    rejected: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            accepted: metrics::counter("threatstream_ingest_accepted_events", "events that the log took"),
            rejected: metrics::counter("threatstream_ingest_rejected_events", "events that were turned away"),
        }
    }

    pub(super) fn count(&self, outcome: &Outcome) {
        self.accepted.inc_by(outcome.accepted);
        self.rejected.inc_by(outcome.rejected);
    }
}
