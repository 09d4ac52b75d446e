//! The store, split by what it holds.

mod alerts;
mod analytics;
mod feed;
mod leases;
mod responses;
mod simulations;
mod threats;

use async_trait::async_trait;
use tokio::sync::watch;

pub use alerts::{AlertQuery, Alerts};
pub use analytics::{Analytics, Totals};
pub use feed::{Feed, FeedCursor, FeedReader, FeedRecord, FeedStart};
pub use leases::{AlertWrite, Checkpoint, Commit, Leases, NewThreat, PartitionId, SavedState, StateChange};
pub use responses::{Effect, ExecutionQuery, Responses};
pub use simulations::{Settings, Simulations};
pub use threats::{Page, ThreatChange, ThreatQuery, ThreatStats, Threats, threat_update};

use crate::BackendError;

/// Everything the product keeps.
#[async_trait]
pub trait Store: Leases + Threats + Alerts + Feed + Responses + Simulations + Settings + Analytics + 'static {
    /// Reaches the store for real: a write and a read of it.
    async fn check(&self) -> Result<(), BackendError>;

    /// Ticks whenever this process has committed something. A hint to look again, never a promise: what other processes
    /// commit may not tick.
    fn ticks(&self) -> watch::Receiver<u64>;
}
