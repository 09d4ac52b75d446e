//! The event log: topics of a fixed number of partitions, each an ordered sequence of records.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use threatstream_domain::{Envelope, MARK_HEADER, Timestamp};

use crate::BackendError;

/// The names of the product's topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Events as they came.
    pub raw: String,
    /// What match found, for judge.
    pub matches: String,
    /// Threats, for whoever integrates.
    pub analyzed: String,
    /// Critical threats alone.
    pub alerts: String,
    /// A record a minute on how the platform fares.
    pub metrics: String,
    /// Records that could not be taken for an event, with the reason.
    pub dead_letters: String,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            raw: "security.raw.logs".to_owned(),
            matches: "security.matches".to_owned(),
            analyzed: "security.analyzed.threats".to_owned(),
            alerts: "security.critical.alerts".to_owned(),
            metrics: "security.system.metrics".to_owned(),
            dead_letters: "security.dead.letters".to_owned(),
        }
    }
}

impl Topics {
    /// All names, in the order of an event's way.
    #[must_use]
    pub fn names(&self) -> [&str; 6] {
        [
            &self.raw,
            &self.matches,
            &self.analyzed,
            &self.alerts,
            &self.metrics,
            &self.dead_letters,
        ]
    }
}

/// What must survive when the append returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Promised to a caller: it survives the loss of power.
    Promised,
    /// The analyzer's own: it survives the death of the process; if the power fails, it is lost together with the
    /// checkpoint that says so, and is made again.
    Redoable,
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Chooses the partition ([`partition_of`](crate::partition_of)).
    pub key: String,
    /// The payload.
    pub value: Bytes,
    /// Names and values beside it.
    pub headers: Vec<(String, Bytes)>,
}

impl Record {
    /// An event for the raw topic, keyed by its id; `mark` is a simulation's ([`MarkKey::mark`](threatstream_domain::MarkKey::mark)).
    #[must_use]
    pub fn of_event(envelope: &Envelope<'_>, mark: Option<String>) -> Self {
        Self {
            key: envelope.event_id.clone().into_owned(),
            value: envelope.to_bytes().into(),
            headers: mark
                .map(|mark| (MARK_HEADER.to_owned(), mark.into()))
                .into_iter()
                .collect(),
        }
    }
}

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which partition.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
}

/// A record as the log gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRecord {
    /// Its offset in its partition.
    pub offset: u64,
    /// When the log took it. Within a partition it never runs backwards; where the log can (embedded), it is unique and
    /// increasing over all partitions, in the order of the appends and of the records in them.
    pub timestamp: Timestamp,
    /// The key.
    pub key: String,
    /// The payload.
    pub value: Bytes,
    /// Names and values beside it.
    pub headers: Vec<(String, Bytes)>,
}

impl LoggedRecord {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// Where a partition begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset still there.
    pub low: u64,
    /// The offset that the next record will get.
    pub high: u64,
}

/// Contiguous records of one partition.
#[derive(Clone, Debug)]
pub struct PartitionRecords {
    /// Which partition.
    pub partition: u32,
    /// In the order of offsets. The first one lies beyond the asked-for offset when retention has removed records. Empty where the
    /// reader has found that up to `next_offset` no record comes.
    pub records: Vec<LoggedRecord>,
    /// Where to read on: behind the last record, or further, where offsets follow that hold none (Kafka's markers of a producer's
    /// transactions take offsets).
    pub next_offset: u64,
    /// Where the partition began and ended when this was read.
    pub watermarks: Watermarks,
}

/// A server of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// Where it answers.
    pub host: String,
    /// The port there.
    pub port: u16,
}

/// How a partition fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionInfo {
    /// Which partition.
    pub partition: u32,
    /// The broker that leads it; null: none does, and nothing can be appended.
    pub leader: Option<i32>,
    /// How many brokers keep it.
    pub replicas: u32,
    /// How many of those are up to date.
    pub in_sync: u32,
    /// The first offset still there.
    pub low: u64,
    /// The offset that the next record will get.
    pub high: u64,
    /// How far the consumer group says it is; null: it has not said.
    pub committed: Option<u64>,
}

/// A topic and its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// In order.
    pub partitions: Vec<PartitionInfo>,
}

/// What a log says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterInfo {
    /// `embedded` or `kafka`.
    pub kind: &'static str,
    /// The cluster's id, where it has one.
    pub cluster_id: Option<String>,
    /// Its servers; none where the log is a file.
    pub brokers: Vec<Broker>,
    /// The topics asked for.
    pub topics: Vec<TopicInfo>,
}

/// An append-only log.
///
/// Records of one append that go to the same partition lie there in the given order. An append is durable as asked when it
/// returns; one that fails may still have been applied (a retry may then append twice: consumers drop duplicates).
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// How many partitions a topic has; fixed for its life.
    async fn partitions(&self, topic: &str) -> Result<u32, BackendError>;

    /// Appends records and says where each went, in the order given. All become visible to a reader at once where the log
    /// can do that (embedded).
    async fn append(
        &self,
        topic: &str,
        records: Vec<Record>,
        durability: Durability,
    ) -> Result<Vec<Position>, BackendError>;

    /// Reads partitions of a topic, each from its offset.
    async fn open(&self, topic: &str, from: &[(u32, u64)]) -> Result<Box<dyn LogReader>, BackendError>;

    /// Where each partition begins and ends, in the order of partitions, from one read.
    async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, BackendError>;

    /// What the log says of itself and of these topics.
    async fn cluster(&self, topics: &[String]) -> Result<ClusterInfo, BackendError>;

    /// Tells the log which record comes next in each partition, for its own monitoring of consumers: the checkpoints decide, and
    /// nothing reads this back to work by it. A log without such monitoring does nothing.
    async fn report_progress(&self, topic: &str, next_offsets: &[(u32, u64)]) -> Result<(), BackendError>;

    /// Reaches the log for real.
    async fn check(&self) -> Result<(), BackendError>;
}

/// Reads on from where it stopped.
#[async_trait]
pub trait LogReader: Send {
    /// The next records of every partition that has some, from one consistent look at the log where it can give that;
    /// about `max_bytes` in all, at least one record when there is any. Waits up to `wait` for the first one, woken by the
    /// append and not by polling where the log can do that; then an empty list.
    async fn next(&mut self, max_bytes: usize, wait: Duration) -> Result<Vec<PartitionRecords>, BackendError>;
}
