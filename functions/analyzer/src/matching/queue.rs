//! The records of one partition that were read or offered and whose turn has not come.

use std::collections::VecDeque;

use threatstream_backend::LoggedRecord;

use super::reading::Turn;

/// What a record takes in memory besides what is in it.
const RECORD_BYTES: usize = 128;

/// A record, and how many before it are gone.
pub(super) struct Waiting {
    pub(super) record: LoggedRecord,
    pub(super) lost: u64,
    bytes: usize,
}

/// In the order of offsets, and of times.
#[derive(Default)]
pub(super) struct Queue {
    partition: u32,
    records: VecDeque<Waiting>,
    bytes: usize,
    /// The log holds more of the partition than was read.
    is_behind: bool,
    /// The last record that was read.
    reached: Option<Turn>,
    /// The first of the records that were dropped to save memory, until they are read again.
    dropped: Option<Turn>,
    is_paused: bool,
}

impl Queue {
    pub(super) fn new(partition: u32) -> Self {
        Self {
            partition,
            ..Self::default()
        }
    }

    /// Appends what follows on the last one. A connector may bring times that no log gave; the order of offsets decides.
    pub(super) fn push(&mut self, mut record: LoggedRecord, lost: u64) {
        if let Some(last) = self.records.back() {
            record.timestamp = record.timestamp.max(last.record.timestamp);
        }
        let headers = record.headers.iter().map(|(name, value)| name.len() + value.len());
        let bytes = RECORD_BYTES + record.key.len() + record.value.len() + headers.sum::<usize>();
        self.bytes += bytes;
        self.reached = Some(self.turn(&record));
        self.dropped = None;
        self.is_paused = false;
        self.records.push_back(Waiting { record, lost, bytes });
    }

    /// Takes the first record if its turn is not after this one.
    pub(super) fn pop_until(&mut self, cut: Option<Turn>) -> Option<Waiting> {
        let first = self.turn(&self.records.front()?.record);
        if cut.is_some_and(|cut| first > cut) {
            return None;
        }
        let waiting = self.records.pop_front()?;
        self.bytes -= waiting.bytes;
        Some(waiting)
    }

    /// Drops the last record: it is read again when the others have come this far. How many bytes that frees.
    pub(super) fn drop_last(&mut self) -> usize {
        let Some(waiting) = self.records.pop_back() else {
            return 0;
        };
        self.bytes -= waiting.bytes;
        self.dropped = Some(self.turn(&waiting.record));
        (self.is_behind, self.is_paused) = (true, true);
        waiting.bytes
    }

    /// Drops everything: it is read again.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.partition);
    }

    /// Whether the log held more when this was read.
    pub(super) fn set_behind(&mut self, is_behind: bool) {
        self.is_behind = is_behind;
    }

    /// Beyond this turn, the partition may have records that are not here; `None`: everything is here, as far as is known.
    /// `strictly`: also when nothing is here any more.
    pub(super) fn bound(&self, strictly: bool) -> Option<Turn> {
        if let Some((time, partition, offset)) = self.dropped {
            return Some((time, partition, offset.saturating_sub(1)));
        }
        match self.last() {
            Some(last) if self.is_behind => Some(last),
            None if self.is_behind && strictly => self.reached,
            _ => None,
        }
    }

    /// Records are in the log that must come before others can go on.
    pub(super) fn is_awaited(&self) -> bool {
        self.dropped.is_some() || (self.is_behind && self.records.is_empty())
    }

    /// The log does not give what it was believed to have.
    pub(super) fn await_no_longer(&mut self) {
        self.dropped = None;
        self.is_behind &= !self.records.is_empty();
    }

    /// Not to be read before the others have come as far.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn go_on(&mut self) {
        self.is_paused = false;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last record's turn.
    pub(super) fn last(&self) -> Option<Turn> {
        self.records.back().map(|last| self.turn(&last.record))
    }

    fn turn(&self, record: &LoggedRecord) -> Turn {
        (record.timestamp, self.partition, record.offset)
    }
}
