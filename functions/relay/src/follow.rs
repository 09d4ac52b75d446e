//! The worker that reads the feed and fills the ring.

use std::sync::Arc;
use std::time::Duration;

use threatstream_backend::{BackendError, FeedCursor, FeedReader, FeedStart};
use threatstream_runtime::CancellationToken;
use tracing::{info, warn};

use crate::relay::Relay;
use crate::segment::SegmentBuilder;

const RECORDS: usize = 256;
/// A segment is closed when it has this much, so that what a slow client holds on to stays small.
const SEGMENT_BYTES: usize = 64 * 1024;
/// How long the feed may take to say that there is nothing.
pub(crate) const WAIT: Duration = Duration::from_secs(5);
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// How long clients may take to answer a close.
const FAREWELL: Duration = Duration::from_secs(3);

/// A reader that has nothing missing since the ring was started, and the feed that it reads.
struct Following {
    epoch: String,
    reader: Box<dyn FeedReader>,
}

/// Follows the feed until the token is cancelled, then closes every socket.
pub(crate) async fn run(relay: Arc<Relay>, token: CancellationToken) -> anyhow::Result<()> {
    let mut following = None;
    let mut backoff = MIN_BACKOFF;
    while let Some(error) = token
        .run_until_cancelled(follow(&relay, &mut following, &mut backoff))
        .await
    {
        relay.meters.feed_errors.inc();
        warn!(%error, retry_in_ms = u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX), "the feed cannot be read");
        if token.run_until_cancelled(tokio::time::sleep(backoff)).await.is_none() {
            break;
        }
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
    relay.ring.close();
    relay.sessions.close();
    if tokio::time::timeout(FAREWELL, relay.sessions.wait()).await.is_err() {
        warn!(sockets = relay.sessions.len(), "some sockets did not close in time");
    }
    Ok(())
}

/// Returns with the first error. A reader that may go on is left in `following`: it knows to where it has seen everything, while the
/// last record's place can be older than what a feed keeps though nothing came after it.
async fn follow(relay: &Relay, following: &mut Option<Following>, backoff: &mut Duration) -> BackendError {
    loop {
        let current = match following {
            Some(current) => current,
            None => match begin(relay).await {
                Ok(begun) => following.insert(begun),
                Err(error) => return error,
            },
        };
        if let Err(error) = read(relay, &current.epoch, &mut *current.reader).await {
            if !error.is_retryable() {
                *following = None;
            }
            return error;
        }
        *backoff = MIN_BACKOFF;
    }
}

/// A reader from where the ring ends; where there is none any more, the ring is started anew at the feed's end.
async fn begin(relay: &Relay) -> Result<Following, BackendError> {
    let store = &relay.dependencies.backends.store;
    let epoch = store.epoch().await?;
    if let Some(place) = relay.ring.head().filter(|place| *place.epoch == *epoch) {
        match store.follow(&FeedCursor(place.after.to_string())).await? {
            FeedStart::Reader(reader) => return Ok(Following { epoch, reader }),
            FeedStart::Gone => warn!(after = %place.after, "the feed's history is gone; clients start anew"),
        }
    }
    let head = store.head().await?;
    info!(epoch, head = %head, "following the feed");
    relay.ring.reset(&epoch, head.0.as_str().into());
    let FeedStart::Reader(reader) = store.follow(&head).await? else {
        return Err(BackendError::Unavailable {
            backend: "relay",
            message: "the feed moved on before it could be followed".to_owned(),
        });
    };
    Ok(Following { epoch, reader })
}

async fn read(relay: &Relay, epoch: &str, reader: &mut dyn FeedReader) -> Result<(), BackendError> {
    let records = reader.next(RECORDS, WAIT).await?;
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        relay.standing.reached(relay.dependencies.clock.now(), Duration::ZERO);
        return Ok(());
    };
    let (oldest, newest) = (first.committed_at, last.committed_at);
    let mut after = relay.ring.head().map_or_else(|| Arc::from(""), |place| place.after);
    let mut builder = SegmentBuilder::default();
    for record in &records {
        builder.record(epoch, Arc::clone(&after), record);
        relay.meters.published.inc_by(record.frames.len() as u64);
        after = record.cursor.0.as_str().into();
        if builder.len() >= SEGMENT_BYTES {
            relay.ring.publish(std::mem::take(&mut builder).finish());
        }
    }
    let rest = builder.finish();
    if !rest.marks().is_empty() {
        relay.ring.publish(rest);
    }
    let now = relay.dependencies.clock.now();
    relay.standing.reached(now, now.since(oldest));
    let lag = now.since(newest);
    relay
        .meters
        .lag_ms
        .set(i64::try_from(lag.as_millis()).unwrap_or(i64::MAX));
    Ok(())
}
