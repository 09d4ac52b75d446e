//! What the product needs of an event log, a store and a task queue, as traits, and one conformance suite for each.
//!
//! Functions know these traits and nothing of what is behind them: one SQLite file on one machine, or Kafka, Firestore and
//! Pub/Sub. Types of their SDKs never cross a trait. Each trait's documentation says what is idempotent and in what order
//! things come; the suites in [`conformance`] (feature `conformance`) hold every implementation to it.

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod log;
mod partition;
mod store;
mod tasks;
pub mod views;

use std::sync::Arc;

pub use error::{BackendError, CommitError};
pub use log::{
    Broker, ClusterInfo, Durability, EventLog, LogReader, LoggedRecord, PartitionInfo, PartitionRecords, Position,
    Record, TopicInfo, Topics, Watermarks,
};
pub use partition::partition_of;
pub use store::{
    AlertQuery, AlertWrite, Alerts, Analytics, Checkpoint, Commit, Effect, ExecutionQuery, Feed, FeedCursor,
    FeedReader, FeedRecord, FeedStart, Leases, NewThreat, Page, PartitionId, Responses, SavedState, Settings,
    Simulations, StateChange, Store, ThreatChange, ThreatQuery, ThreatStats, Threats, Totals, threat_update,
};
pub use tasks::{
    DRAIN_QUEUE, DeadTask, Delivery, Failed, QueueDepth, RESPOND_QUEUE, RetryPolicy, SIMULATE_QUEUE, Task, TaskQueue,
};

/// One of each, as a function is given them.
#[derive(Clone)]
pub struct Backends {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The task queue.
    pub tasks: Arc<dyn TaskQueue>,
    /// What the topics are called.
    pub topics: Topics,
}
