//! What a drain answers.

use serde::Serialize;

/// What a drain came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// There was nothing to do, and nothing was written.
    Idle,
    /// Everything is done.
    Drained,
    /// Time was up first, or the process is ending: the next drain goes on.
    Partial,
    /// What is left is in the hands of others.
    Held,
}

/// What a drain did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What it came to.
    pub status: Status,
    /// Another request's drain, which looked once more after this request came, did all of this.
    pub joined: bool,
    /// Records of the raw topic that went through match.
    pub events_matched: u64,
    /// Of these, records that a push brought and that were not read from the log.
    pub events_pushed: u64,
    /// Matches that went through judge.
    pub matches_judged: u64,
    /// Threats stored.
    pub threats_stored: u64,
    /// Partitions of both topics that have something to do and are held by others.
    pub partitions_held: usize,
    /// Records of both topics beyond the checkpoints when it ended.
    pub pending: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}
