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
const WAIT: Duration = Duration::from_secs(5);
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// How long clients may take to answer a close.
const FAREWELL: Duration = Duration::from_secs(3);

/// Follows the feed until the token is cancelled, then closes every socket.
pub(crate) async fn run(relay: Arc<Relay>, token: CancellationToken) -> anyhow::Result<()> {
    let mut backoff = MIN_BACKOFF;
    while let Some(outcome) = token.run_until_cancelled(follow(&relay, &mut backoff)).await {
        if let Err(error) = outcome {
            relay.meters.feed_errors.inc();
            warn!(%error, retry_in_ms = u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX), "the feed cannot be read");
            if token.run_until_cancelled(tokio::time::sleep(backoff)).await.is_none() {
                break;
            }
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }
    relay.ring.close();
    relay.sessions.close();
    if tokio::time::timeout(FAREWELL, relay.sessions.wait()).await.is_err() {
        warn!(sockets = relay.sessions.len(), "some sockets did not close in time");
    }
    Ok(())
}

/// Returns with the first error, or when history is gone and the ring was started anew.
async fn follow(relay: &Relay, backoff: &mut Duration) -> Result<(), BackendError> {
    let store = &relay.dependencies.backends.store;
    let epoch = store.epoch().await?;
    let known = relay.ring.head().filter(|place| *place.epoch == *epoch);
    let place = match known {
        Some(place) => place,
        None => start_anew(relay, &epoch).await?,
    };
    match store.follow(&FeedCursor(place.after.to_string())).await? {
        FeedStart::Gone => {
            warn!(after = %place.after, "the feed's history is gone; clients start anew");
            start_anew(relay, &epoch).await?;
            Ok(())
        }
        FeedStart::Reader(mut reader) => loop {
            read(relay, &epoch, &mut *reader).await?;
            *backoff = MIN_BACKOFF;
        },
    }
}

async fn start_anew(relay: &Relay, epoch: &str) -> Result<crate::ring::Place, BackendError> {
    let head = relay.dependencies.backends.store.head().await?;
    info!(epoch, head = %head, "following the feed");
    let after: Arc<str> = head.0.into();
    relay.ring.reset(epoch, Arc::clone(&after));
    let unknown = || BackendError::Unavailable {
        backend: "relay",
        message: "the ring lost its place".to_owned(),
    };
    relay.ring.head().ok_or_else(unknown)
}

async fn read(relay: &Relay, epoch: &str, reader: &mut dyn FeedReader) -> Result<(), BackendError> {
    let records = reader.next(RECORDS, WAIT).await?;
    let Some(last) = records.last() else { return Ok(()) };
    let committed_at = last.committed_at;
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
    let lag = relay.dependencies.clock.now().since(committed_at);
    relay
        .meters
        .lag_ms
        .set(i64::try_from(lag.as_millis()).unwrap_or(i64::MAX));
    Ok(())
}
