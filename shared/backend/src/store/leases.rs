//! Who works a partition, how far it is, and the one commit that moves both on.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use threatstream_domain::{AlertGroup, Frame, MinuteStats, Original, Tally, Threat, Timestamp};

use crate::{BackendError, CommitError};

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
}

impl PartitionId {
    /// Whether it may be leased by one who says that the topic has so many `partitions`: it is one of them, and the topic was
    /// worked with as many before (`worked`; `None`: never). `backend` is the store that asks.
    ///
    /// # Errors
    /// `Rejected`, with what is wrong.
    pub fn check(&self, partitions: u32, worked: Option<u32>, backend: &'static str) -> Result<(), BackendError> {
        let Self { topic, partition } = self;
        let message = match worked {
            _ if *partition >= partitions => format!("{topic} has no partition {partition}"),
            Some(worked) if worked != partitions => format!(
                "{topic} was worked with {worked} partitions, not {partitions}; the number is fixed for a topic's life"
            ),
            _ => return Ok(()),
        };
        Err(BackendError::Rejected { backend, message })
    }
}

/// How far a partition is.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Which partition.
    pub partition: u32,
    /// The first record not yet analysed.
    pub next_offset: u64,
    /// Grows by one each time the lease is taken.
    pub owner_epoch: u64,
    /// The last commit's id.
    pub batch_id: Option<String>,
    /// Until when the lease holds.
    pub lease_until: Timestamp,
    /// Threats committed whose publication is not yet known to have happened.
    pub unpublished: Vec<String>,
    /// What became of the records before `next_offset`.
    pub tally: Tally,
    /// Records that the log had lost before they were read.
    pub lost: u64,
}

/// A change of a partition's saved state.
///
/// The state is a few numbered slots (snapshots, each under 900 KiB) and the deltas committed since they were written.
#[derive(Clone, Debug, Default)]
pub struct StateChange {
    /// Appended to the deltas; empty: nothing to append.
    pub delta: Bytes,
    /// `Some`: these slots replace those of the same number, and all deltas so far, this commit's included, are dropped.
    pub snapshot: Option<Vec<(u16, Bytes)>>,
}

/// A partition's state as it was saved.
#[derive(Clone, Debug, Default)]
pub struct SavedState {
    /// The slots by number.
    pub slots: Vec<(u16, Bytes)>,
    /// The deltas since, oldest first.
    pub deltas: Vec<Bytes>,
}

/// A threat with the originals that made it.
#[derive(Clone, Debug)]
pub struct NewThreat {
    /// The threat.
    pub threat: Threat,
    /// At most 20, truncated.
    pub originals: Vec<Original>,
}

/// The analyzer's part of an alert, and the analysts' version it was judged on.
#[derive(Clone, Debug)]
pub struct AlertWrite {
    /// What to write, in full.
    pub group: AlertGroup,
    /// The alert must be at this version of the analysts' part; 0 also when there is none yet.
    pub case_version: u64,
}

/// A batch's results. All of it is written, or nothing.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Which partition.
    pub id: PartitionId,
    /// The epoch the lease was taken with.
    pub owner_epoch: u64,
    /// Where the checkpoint stands now.
    pub expected_offset: u64,
    /// Where it is to stand.
    pub next_offset: u64,
    /// Names this commit; the same commit sent again has its effect once and succeeds.
    pub batch_id: String,
    /// Replaces the checkpoint's.
    pub unpublished: Vec<String>,
    /// Added to the checkpoint's.
    pub tally: Tally,
    /// Added to the checkpoint's.
    pub lost: u64,
    /// Added to the minutes' counters.
    pub minutes: Vec<MinuteStats>,
    /// New threats. One whose id is there already is left as it is.
    pub threats: Vec<NewThreat>,
    /// Alerts to open or move on.
    pub alerts: Vec<AlertWrite>,
    /// The partition's state.
    pub state: StateChange,
    /// What dashboards are told, as one record of the feed; empty: no record.
    pub frames: Vec<Frame>,
    /// Until when the lease is to hold from then on: what makes progress keeps its partition. A lease that holds longer keeps its time,
    /// and one that was given up stays given up.
    pub lease_until: Timestamp,
    /// When the batch was judged.
    pub now: Timestamp,
}

/// Leases, checkpoints, state and commits of partitions.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes the lease of a partition that nobody holds, or whose lease has run out at `now`, or that `owner` holds already.
    /// The epoch grows. `None`: another holds it.
    ///
    /// # Errors
    /// `Rejected` when the topic was worked with another number of partitions before.
    async fn acquire(
        &self,
        id: &PartitionId,
        partitions: u32,
        owner: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Checkpoint>, BackendError>;

    /// Holds the lease until `now + ttl`. False: it is another's by now.
    async fn renew(
        &self,
        id: &PartitionId,
        owner_epoch: u64,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<bool, BackendError>;

    /// Gives the lease up, if it is still this epoch's.
    async fn release(&self, id: &PartitionId, owner_epoch: u64) -> Result<(), BackendError>;

    /// The checkpoints of a topic, from one read, in the order of partitions; partitions never leased are absent.
    async fn checkpoints(&self, topic: &str) -> Result<Vec<Checkpoint>, BackendError>;

    /// A partition's saved state.
    async fn load_state(&self, id: &PartitionId) -> Result<SavedState, BackendError>;

    /// Writes a batch's results if the checkpoint still stands at `expected_offset` under `owner_epoch`. A commit whose
    /// `batch_id` is already the checkpoint's was applied before: it succeeds and changes nothing. Whether the lease's time
    /// has run out does not matter while nobody else took it.
    async fn commit(&self, commit: Commit) -> Result<(), CommitError>;
}
