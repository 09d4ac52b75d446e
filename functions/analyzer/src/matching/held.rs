//! What a matcher has in memory of a partition.

use threatstream_backend::{Checkpoint, Commit, LoggedRecord, PartitionId, SavedState, StateChange};
use threatstream_detection::Recent;
use threatstream_domain::{MinuteStats, Tally, Timestamp};

use super::queue::Queue;
use crate::LEASE;

/// Deltas are compacted into chunks after so many, or so many bytes.
const COMPACT_AFTER: (usize, usize) = (256, 1 << 20);

/// A partition that is held, or that was and may be held again.
pub(super) struct Held {
    pub(super) epoch: u64,
    pub(super) next_offset: u64,
    /// The last commit's, as the checkpoint has it.
    batch_id: Option<String>,
    pub(super) recent: Recent,
    /// Deltas since the last chunks were written, and their bytes.
    deltas: (usize, usize),
    /// Read or offered, and not yet worked; contiguous, but for offsets at which the log has nothing.
    pub(super) queue: Queue,
    /// Up to here the log was read: behind the queue, it has nothing before this.
    read_to: u64,
}

/// What a batch does to one partition.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) lost: u64,
    pub(super) next_offset: u64,
    pub(super) delta: Vec<u8>,
}

impl Held {
    /// From what was saved.
    pub(super) fn load(checkpoint: Checkpoint, saved: &SavedState) -> Self {
        let mut recent = Recent::load(saved.slots.iter().map(|(_, bytes)| bytes.as_ref()));
        for delta in &saved.deltas {
            for print in delta.as_chunks::<16>().0 {
                recent.insert(u128::from_le_bytes(*print));
            }
        }
        Self {
            epoch: checkpoint.owner_epoch,
            next_offset: checkpoint.next_offset,
            batch_id: checkpoint.batch_id,
            recent,
            deltas: (saved.deltas.len(), saved.deltas.iter().map(bytes::Bytes::len).sum()),
            queue: Queue::new(checkpoint.partition),
            read_to: 0,
        }
    }

    /// Whether nobody has touched the partition since this was in memory: then its saved state is what is here.
    pub(super) fn is_current(&self, checkpoint: &Checkpoint) -> bool {
        checkpoint.owner_epoch == self.epoch + 1
            && checkpoint.next_offset == self.next_offset
            && checkpoint.batch_id == self.batch_id
    }

    /// Drops what is read and not worked: it is read again.
    pub(super) fn unread(&mut self) {
        self.queue.clear();
        self.read_to = 0;
    }

    /// The offset that the next record to be read has, at least.
    pub(super) fn end(&self) -> u64 {
        let behind_the_last = self.queue.last().map_or(self.next_offset, |(_, _, offset)| offset + 1);
        behind_the_last.max(self.read_to)
    }

    /// The log was read up to there. What is dropped to save memory later is not: it is read again.
    pub(super) fn read_to(&mut self, offset: u64) {
        self.read_to = offset;
    }

    /// Drops the last record, which is read again later: how many bytes that frees.
    pub(super) fn drop_last(&mut self) -> usize {
        self.read_to = 0;
        self.queue.drop_last()
    }

    /// Where the checkpoint is to stand though no record is left to be worked before that; `None`: it stands there, or records wait.
    pub(super) fn rest(&self) -> Option<u64> {
        (self.queue.is_empty() && !self.queue.is_paused() && self.read_to > self.next_offset).then_some(self.read_to)
    }

    /// Takes a record that was read, unless it is here or done. `low` is where the partition began then: what lay before it is
    /// lost, while a gap behind it are offsets that never were a record (a transaction's markers).
    pub(super) fn take(&mut self, record: LoggedRecord, low: u64) {
        let end = self.end();
        if record.offset >= end {
            let lost = record.offset.min(low).saturating_sub(end);
            self.queue.push(record, lost);
        }
    }

    /// The commit was made.
    pub(super) fn committed(&mut self, next_offset: u64, batch_id: String) {
        self.next_offset = next_offset;
        self.batch_id = Some(batch_id);
    }

    pub(super) fn commit(&mut self, id: PartitionId, batch_id: String, mut outcome: Outcome, now: Timestamp) -> Commit {
        let tally = &mut outcome.tally;
        let worked = tally.clean + tally.matched + tally.duplicate + tally.dead_lettered;
        tally.skipped = (outcome.next_offset - self.next_offset).saturating_sub(outcome.lost + worked);
        self.deltas = (self.deltas.0 + 1, self.deltas.1 + outcome.delta.len());
        let compact = self.deltas.0 >= COMPACT_AFTER.0 || self.deltas.1 >= COMPACT_AFTER.1;
        let snapshot = compact.then(|| {
            self.deltas = (0, 0);
            self.recent
                .save(0)
                .into_iter()
                .map(|(slot, bytes)| (slot, bytes.into()))
                .collect()
        });
        let processed = outcome.tally.clean + outcome.tally.matched;
        Commit {
            id,
            owner_epoch: self.epoch,
            expected_offset: self.next_offset,
            next_offset: outcome.next_offset,
            batch_id,
            unpublished: Vec::new(),
            tally: outcome.tally,
            lost: outcome.lost,
            lease_until: now.plus(LEASE),
            minutes: vec![MinuteStats {
                minute: now.minute(),
                processed,
                ..MinuteStats::default()
            }],
            threats: Vec::new(),
            alerts: Vec::new(),
            state: StateChange {
                delta: outcome.delta.into(),
                snapshot,
            },
            frames: Vec::new(),
            now,
        }
    }
}
