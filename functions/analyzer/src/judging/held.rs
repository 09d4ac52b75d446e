//! What a judge has in memory of its partition.

use bytes::Bytes;
use threatstream_backend::{
    AlertWrite, Checkpoint, Commit, LogReader, NewThreat, PartitionId, SavedState, StateChange,
};
use threatstream_detection::judge::{JudgeState, Judged};
use threatstream_domain::{Tally, Threat, Timestamp};

use crate::{LEASE, StageError};

/// The state is compacted when the deltas since have grown past this, or past the snapshot itself.
const COMPACT_AFTER: usize = 1 << 20;
/// It is compacted after so many deltas, however small: who takes over reads each, and the checkpoint names each.
const COMPACT_AFTER_DELTAS: usize = 128;
/// After a snapshot that could not be stored, the next is tried so many commits later; each failure doubles that, up to the most.
const TRY_AGAIN_AFTER: u32 = 16;
const TRY_AGAIN_AT_MOST: u32 = 1024;

/// A partition that is held, or that was and may be held again.
pub(super) struct Held {
    pub(super) epoch: u64,
    pub(super) next_offset: u64,
    /// Until when the lease holds unless it is renewed.
    pub(super) until: Timestamp,
    /// The last commit's, as the checkpoint has it.
    batch_id: Option<String>,
    pub(super) state: JudgeState,
    /// Bytes of deltas since the last snapshot, and how many they are.
    deltas: usize,
    delta_count: usize,
    /// Bytes of that snapshot.
    snapshot: usize,
    /// Commits to be made before a snapshot is tried again, and how many it was the last time; 0 when none has failed.
    wait: u32,
    waited: u32,
    /// Opened when matches are to be read.
    pub(super) reader: Option<Box<dyn LogReader>>,
    /// What the last commit named as unpublished is published by now.
    pub(super) is_published: bool,
    /// The checkpoint names something as unpublished.
    pub(super) names_unpublished: bool,
}

impl Held {
    /// From what was saved; what the checkpoint names as unpublished was published just now.
    pub(super) fn load(checkpoint: Checkpoint, saved: &SavedState) -> Result<Self, StageError> {
        let mut held = Self {
            epoch: checkpoint.owner_epoch,
            next_offset: checkpoint.next_offset,
            until: checkpoint.lease_until,
            batch_id: checkpoint.batch_id,
            state: JudgeState::default(),
            deltas: 0,
            delta_count: 0,
            snapshot: 0,
            wait: 0,
            waited: 0,
            reader: None,
            is_published: true,
            names_unpublished: !checkpoint.unpublished.is_empty(),
        };
        held.restore(saved)?;
        Ok(held)
    }

    /// Whether nobody has touched the partition since this was in memory: then its saved state is what is here.
    pub(super) fn is_current(&self, checkpoint: &Checkpoint) -> bool {
        checkpoint.owner_epoch == self.epoch + 1
            && checkpoint.next_offset == self.next_offset
            && checkpoint.batch_id == self.batch_id
    }

    /// Takes the state from what was saved.
    pub(super) fn restore(&mut self, saved: &SavedState) -> Result<(), StageError> {
        self.state = JudgeState::load(&saved.slots, &saved.deltas)?;
        self.deltas = saved.deltas.iter().map(Bytes::len).sum();
        self.delta_count = saved.deltas.len();
        self.snapshot = saved.slots.iter().map(|(_, bytes)| bytes.len()).sum();
        Ok(())
    }

    /// The commit was made; so many threats of it are to be published.
    pub(super) fn committed(&mut self, next_offset: u64, batch_id: String, unpublished: usize, lease_until: Timestamp) {
        self.next_offset = next_offset;
        self.until = self.until.max(lease_until);
        self.batch_id = Some(batch_id);
        self.names_unpublished = unpublished > 0;
        self.is_published = unpublished == 0;
    }

    /// Whether it is time to write the whole state.
    pub(super) fn must_compact(&self) -> bool {
        self.wait == 0 && (self.deltas > COMPACT_AFTER.max(self.snapshot) || self.delta_count >= COMPACT_AFTER_DELTAS)
    }

    /// The snapshot, of so many bytes, was stored.
    pub(super) fn compacted(&mut self, batch_id: String, bytes: usize, lease_until: Timestamp) {
        (self.deltas, self.delta_count, self.snapshot) = (0, 0, bytes);
        (self.wait, self.waited) = (0, 0);
        self.committed(self.next_offset, batch_id, 0, lease_until);
    }

    /// The snapshot may not have been stored: the deltas go on, and it is tried again later.
    pub(super) fn not_compacted(&mut self) {
        self.state.not_saved();
        self.waited = (self.waited * 2).clamp(TRY_AGAIN_AFTER, TRY_AGAIN_AT_MOST);
        self.wait = self.waited;
    }

    /// The commit of a batch, and the threats to publish after it.
    pub(super) fn commit(
        &mut self,
        id: PartitionId,
        batch_id: String,
        next_offset: u64,
        lost: u64,
        judged: Judged,
        now: Timestamp,
    ) -> (Commit, Vec<Threat>) {
        let delta = self.state.take_delta();
        self.deltas += delta.len();
        self.delta_count += usize::from(!delta.is_empty());
        self.wait = self.wait.saturating_sub(1);
        let threats: Vec<Threat> = judged.threats.iter().map(|(threat, _)| threat.clone()).collect();
        let commit = Commit {
            next_offset,
            unpublished: threats.iter().map(|threat| threat.id.clone()).collect(),
            tally: judged.tally,
            lost,
            minutes: vec![judged.minute],
            threats: judged
                .threats
                .into_iter()
                .map(|(threat, originals)| NewThreat { threat, originals })
                .collect(),
            alerts: judged
                .alerts
                .into_iter()
                .map(|(group, case_version)| AlertWrite { group, case_version })
                .collect(),
            state: StateChange {
                delta: delta.into(),
                snapshot: None,
            },
            frames: judged.frames,
            ..self.still(id, batch_id, now)
        };
        (commit, threats)
    }

    /// A commit that leaves the checkpoint where it is: it says that everything is published.
    pub(super) fn still(&self, id: PartitionId, batch_id: String, now: Timestamp) -> Commit {
        Commit {
            id,
            owner_epoch: self.epoch,
            expected_offset: self.next_offset,
            next_offset: self.next_offset,
            batch_id,
            unpublished: Vec::new(),
            tally: Tally::default(),
            lost: 0,
            minutes: Vec::new(),
            threats: Vec::new(),
            alerts: Vec::new(),
            state: StateChange::default(),
            frames: Vec::new(),
            lease_until: now.plus(LEASE),
            now,
        }
    }

    /// A commit of the whole state, by itself (a batch has no room for it beside its own results), and how many bytes it is.
    pub(super) fn compaction(&mut self, id: PartitionId, batch_id: String, now: Timestamp) -> (Commit, usize) {
        let slots = self.state.snapshot();
        let bytes = slots.iter().map(|(_, bytes)| bytes.len()).sum();
        let snapshot = slots.into_iter().map(|(slot, bytes)| (slot, bytes.into())).collect();
        let commit = Commit {
            state: StateChange {
                delta: Bytes::new(),
                snapshot: Some(snapshot),
            },
            ..self.still(id, batch_id, now)
        };
        (commit, bytes)
    }
}
