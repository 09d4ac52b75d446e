//! The feed: what dashboards are told, in the order of the commits.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use threatstream_domain::{Frame, Timestamp};

use crate::BackendError;

/// A place in the feed. Opaque; later places compare greater as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeedCursor(pub String);

impl fmt::Display for FeedCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one commit told.
#[derive(Clone, Debug)]
pub struct FeedRecord {
    /// Where it lies.
    pub cursor: FeedCursor,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// The frames in order.
    pub frames: Vec<Frame>,
}

/// Where a reader can start.
pub enum FeedStart {
    /// The reader begins right after the asked-for place, with nothing missing.
    Reader(Box<dyn FeedReader>),
    /// The place is older than what is kept, or is not this feed's: history is gone.
    Gone,
}

/// The feed.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Names this feed; another epoch means that cursors of before say nothing.
    async fn epoch(&self) -> Result<String, BackendError>;

    /// The place after the last record (of an empty feed: before the first).
    async fn head(&self) -> Result<FeedCursor, BackendError>;

    /// Reads on from after a place.
    async fn follow(&self, after: &FeedCursor) -> Result<FeedStart, BackendError>;
}

/// Reads on from where it stopped. Each record is given once, in order.
///
/// A reader outlives an outage: after an error that can be retried the next call goes on where the reader stopped, with nothing
/// missing and nothing twice. That is better than a new reader after the last record: on a feed where nothing happened for long,
/// the place of that record may have left the history, which tells of a gap where there is none. After any other error the reader
/// is of no use: what comes next is gone, or may not be read.
#[async_trait]
pub trait FeedReader: Send {
    /// The next records, at most `limit`; waits up to `wait` for the first one, woken by the commit and not by polling where
    /// the store can do that; then an empty list. Being dropped while it waits loses nothing.
    ///
    /// # Errors
    /// `Rejected` when retention has passed what comes next; `Unavailable` while the store cannot be reached.
    async fn next(&mut self, limit: usize, wait: Duration) -> Result<Vec<FeedRecord>, BackendError>;
}
