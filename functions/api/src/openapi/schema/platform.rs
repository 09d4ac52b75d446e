//! The event log and the simulations.

use utoipa::ToSchema;

use super::*;

/// A server of the event log.
#[derive(ToSchema)]
pub(crate) struct Broker {
    id: i32,
    host: String,
    port: u16,
}

/// How a partition of the event log fares.
#[derive(ToSchema)]
pub(crate) struct PartitionInfo {
    partition: u32,
    /// The broker that leads it; null: none does, and nothing can be appended.
    leader: Option<i32>,
    /// How many brokers keep it.
    replicas: u32,
    /// How many of those are up to date.
    in_sync: u32,
    /// The first offset still there.
    low: u64,
    /// The offset that the next record will get.
    high: u64,
    /// How far the consumer group says it is; null: it has not said.
    committed: Option<u64>,
}

/// A topic of the event log.
#[derive(ToSchema)]
pub(crate) struct TopicInfo {
    name: String,
    partitions: Vec<PartitionInfo>,
}

/// What the event log says of itself.
#[derive(ToSchema)]
pub(crate) struct ClusterInfo {
    /// `embedded` or `kafka`.
    #[schema(example = "kafka")]
    kind: String,
    /// The cluster's id, where it has one.
    cluster_id: Option<String>,
    /// Its servers; none where the log is a file.
    brokers: Vec<Broker>,
    topics: Vec<TopicInfo>,
}

/// A simulation that runs, or ran last.
#[derive(ToSchema)]
pub(crate) struct SimulationState {
    status: SimulationStatus,
    #[schema(example = "BRUTE_FORCE")]
    attack_vector: Option<String>,
    simulation_id: Option<String>,
    intensity: Option<Intensity>,
    target_eps: Option<u32>,
    started_at: Option<Time>,
    duration_seconds: Option<u32>,
    elapsed_seconds: u32,
    events_generated: u64,
    /// Events a second over the last second.
    current_eps: f64,
}
