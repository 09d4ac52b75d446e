//! What a client missed, read from the store's feed at the client's own pace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use threatstream_backend::{BackendError, FeedCursor, FeedReader, FeedStart};

use crate::filter::Filter;
use crate::relay::Relay;
use crate::segment::{SegmentBuilder, View};
use crate::seq::{Cursor, Seq};

/// About this much is read for one client at a time.
const BATCH_BYTES: usize = 256 * 1024;
const MAX_RECORDS: usize = 512;
/// How long to wait for a record that the ring has not been given yet either.
const WAIT: Duration = Duration::from_millis(100);

/// Reads on from where a client stands.
pub(crate) struct CatchUp {
    reader: Box<dyn FeedReader>,
    epoch: Arc<str>,
    after: Cursor,
    /// Frames of the next record that the client has already.
    skip: usize,
    records: usize,
    /// `Some`: the client was overtaken, and is told `resync` when it has not caught up by then.
    pub(crate) deadline: Option<Instant>,
}

/// What a step of catching up came to.
pub(crate) enum Step {
    /// Send this and go on.
    Missed(View),
    /// Nothing to send right now.
    Nothing,
    /// The client's place makes no sense: the record has fewer frames than it claims to have seen.
    Nonsense,
}

impl CatchUp {
    /// Begins after a place; `None` when the history there is gone, or never was.
    pub(crate) async fn begin(
        relay: &Relay,
        epoch: Arc<str>,
        seq: Seq,
        deadline: Option<Instant>,
    ) -> Result<Option<Self>, BackendError> {
        let Ok(_permit) = relay.reads.acquire().await else {
            return Ok(None);
        };
        let store = &relay.dependencies.backends.store;
        let after = FeedCursor(seq.after.to_string());
        // A place beyond the end was never given to anyone.
        if after > store.head().await? {
            return Ok(None);
        }
        Ok(match store.follow(&after).await? {
            FeedStart::Gone => None,
            FeedStart::Reader(reader) => Some(Self {
                reader,
                epoch,
                after: seq.after,
                skip: seq.taken,
                records: 4,
                deadline,
            }),
        })
    }

    /// Where the client stands.
    pub(crate) fn seq(&self) -> Seq {
        Seq {
            after: Arc::clone(&self.after),
            taken: self.skip,
        }
    }

    /// Reads the next records and encodes them.
    pub(crate) async fn step(&mut self, relay: &Relay, filter: Filter) -> Result<Step, BackendError> {
        let records = {
            let Ok(_permit) = relay.reads.acquire().await else {
                return Ok(Step::Nothing);
            };
            self.reader.next(self.records, WAIT).await?
        };
        let mut builder = SegmentBuilder::default();
        let skip = self.skip;
        for record in &records {
            if self.skip > record.frames.len() {
                return Ok(Step::Nonsense);
            }
            self.skip = 0;
            builder.record(&self.epoch, Arc::clone(&self.after), record);
            self.after = record.cursor.0.as_str().into();
        }
        if records.is_empty() {
            return Ok(Step::Nothing);
        }
        // Records are small when little happens and large in a flood; what one client holds in memory is to stay about the same.
        if builder.len() < BATCH_BYTES / 2 {
            self.records = (self.records * 2).min(MAX_RECORDS);
        } else if builder.len() > BATCH_BYTES {
            self.records = (self.records / 2).max(1);
        }
        Ok(Step::Missed(builder.finish().view(filter, skip)))
    }
}
