//! Reading the raw topic on, and whose turn it is.
//!
//! The partitions are merged by time, so that one that has been read far waits for one that has not. What waits is bounded:
//! beyond that, the newest records are dropped and their partitions not read until the others have come as far.

use std::collections::BTreeMap;
use std::time::Duration;

use threatstream_backend::LoggedRecord;
use threatstream_domain::Timestamp;
use tokio::time::Instant;

use super::Matcher;
use crate::StageError;

/// About how much is read at once.
const BATCH_BYTES: usize = 4 << 20;
/// Records that wait for their turn take at most about so many bytes.
pub(super) const WAITING_BYTES: usize = 32 << 20;
/// Records that the log should have and does not give are waited for this long: retention may have taken them.
const PATIENCE: Duration = Duration::from_secs(10);

/// A record's place in the order in which records are worked: time, partition, offset.
pub(super) type Turn = (Timestamp, u32, u64);

/// Records in the order in which they are to be worked, and how many are gone before them, by partition.
pub(super) type Batch = (Vec<(u32, LoggedRecord)>, BTreeMap<u32, u64>);

impl Matcher {
    /// Takes records that somebody else has read from the log, in the order of offsets: how many are used. Those that were
    /// worked already are dropped; from a gap on, nothing is used, and the log is to be read.
    pub(crate) fn offer(&mut self, partition: u32, records: Vec<LoggedRecord>) -> usize {
        let Some(held) = self.held.get_mut(&partition) else {
            return 0;
        };
        let before = held.queue.len();
        for record in records {
            let end = held.end();
            if record.offset > end {
                break;
            }
            if record.offset == end {
                held.queue.push(record, 0);
            }
        }
        let used = held.queue.len() - before;
        if used > 0 {
            self.offered = true;
            // It would give the same records again.
            self.reader = None;
        }
        used
    }

    /// Reads the log on, waiting up to `wait` for records.
    pub(super) async fn read(&mut self, wait: Duration) -> Result<(), StageError> {
        self.widen();
        let backends = &self.dependencies.backends;
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                let read_on = self.held.iter().filter(|(_, held)| !held.queue.is_paused());
                let from: Vec<(u32, u64)> = read_on.map(|(partition, held)| (*partition, held.end())).collect();
                self.reader
                    .insert(backends.log.open(&backends.topics.raw, &from).await?)
            }
        };
        let read = reader.next(BATCH_BYTES, wait).await?;
        if read.is_empty() {
            self.bear_silence();
            return Ok(());
        }
        self.silent_since = None;
        for part in read {
            if let Some(held) = self.held.get_mut(&part.partition) {
                let is_behind = part.next_offset < part.watermarks.high;
                for record in part.records {
                    held.take(record, part.watermarks.low);
                }
                held.read_to(part.next_offset);
                held.queue.set_behind(is_behind);
            }
        }
        Ok(())
    }

    /// Records whose turn it is, in the order in which the log took them: none from beyond where a partition that holds more
    /// has been read to.
    pub(super) fn take_in_order(&mut self) -> Batch {
        let bounds = self.held.values().filter_map(|held| held.queue.bound(self.is_strict));
        let cut = bounds.min();
        let (mut records, mut lost) = (Vec::new(), BTreeMap::new());
        for (partition, held) in &mut self.held {
            while let Some(waiting) = held.queue.pop_until(cut) {
                if waiting.lost > 0 {
                    *lost.entry(*partition).or_default() += waiting.lost;
                }
                records.push((*partition, waiting.record));
            }
        }
        records.sort_by_key(|(partition, record)| (record.timestamp, *partition, record.offset));
        self.is_strict &= self.held.values().any(|held| held.queue.is_awaited());
        self.trim();
        (records, lost)
    }

    /// Keeps what waits within its bound: the records whose turn is last are dropped, and read again later.
    fn trim(&mut self) {
        let mut bytes = self.waiting_bytes();
        if bytes <= self.waiting_limit {
            return;
        }
        // Down to the half, so that not every read ends here.
        while bytes > self.waiting_limit / 2 {
            let full = self.held.values_mut().filter(|held| !held.queue.is_empty());
            let Some(furthest) = full.max_by_key(|held| held.queue.last()) else {
                break;
            };
            bytes -= furthest.drop_last();
        }
        let paused = self.held.values().filter(|held| held.queue.is_paused()).count();
        tracing::info!(paused, "partitions that were read too far ahead wait for the others");
        self.is_strict = true;
        self.reader = None;
    }

    /// Reads all partitions again once the others have come as far as the paused ones.
    fn widen(&mut self) {
        let bounds = |is_paused: bool| {
            let held = self
                .held
                .values()
                .filter(move |held| held.queue.is_paused() == is_paused);
            held.filter_map(|held| held.queue.bound(true)).min()
        };
        let Some(first) = bounds(true) else {
            return;
        };
        if bounds(false).is_none_or(|other| other >= first) {
            self.held.values_mut().for_each(|held| held.queue.go_on());
            self.reader = None;
        }
    }

    /// Nothing came. What other partitions are kept waiting for is given up after a while: it is gone.
    fn bear_silence(&mut self) {
        if !self.is_strict && !self.held.values().any(|held| held.queue.is_awaited()) {
            return;
        }
        if self.silent_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
            return;
        }
        let reading = self.held.values_mut().filter(|held| !held.queue.is_paused());
        reading.for_each(|held| held.queue.await_no_longer());
        self.is_strict = false;
        self.silent_since = None;
    }

    /// How many bytes wait for their turn.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.held.values().map(|held| held.queue.bytes()).sum()
    }
}
