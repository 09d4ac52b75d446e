//! The feed: what dashboards are told, one document for each commit, in a collection of its own that a listener follows.

mod frames;
mod place;
mod reader;
mod window;

use std::time::Duration;

use async_trait::async_trait;
use firestore::gcloud_sdk::google::firestore::v1::Write;
use threatstream_backend::{BackendError, Feed, FeedCursor, FeedStart};
use threatstream_domain::{Frame, Timestamp, hex};

use crate::codec::{Fields, ReadFields, and_server_time, bytes, create, int, text, time};
use crate::error::{Fault, unavailable};
use crate::query::Query;
use crate::store::FirestoreStore;
use place::Place;
use reader::Reader;

/// The collection of the feed.
pub(crate) const FEED: &str = "feed";

/// Set by the server when it begins to work on the commit; a little before the time that the commit gets.
pub(crate) const COMMITTED_AT: &str = "committed_at";

/// A commit gets its time, by which the feed is ordered, at most so long after [`COMMITTED_AT`], by which it is queried.
const OVERLAP: Duration = Duration::from_secs(10);

/// A record is kept this much longer than a reader may count on; and how far clocks may be apart.
const MARGIN: Duration = Duration::from_secs(600);

/// The writes that tell dashboards something, as part of the commit that did it; none for no frames.
///
/// # Errors
/// `Rejected` for a frame that does not fit into a document.
pub(crate) fn writes(store: &FirestoreStore, frames: &[Frame], now: Timestamp) -> Result<Vec<Write>, BackendError> {
    let parts = frames::pack(frames)?;
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let record = hex(&rand::random::<[u8; 10]>());
    let kept = store.options.feed_retention + MARGIN;
    // Whichever of the two clocks is ahead: removing too late does no harm.
    let expires_at = time(store.options.clock.now().max(now).plus(kept));
    Ok(parts
        .into_iter()
        .enumerate()
        .map(|(part, packed)| {
            let fields = Fields::new()
                .with("told_at", int(now.as_micros()))
                .with("frames", bytes(packed))
                .with("expires_at", expires_at.clone());
            let name = store.client.name(FEED, &format!("{record}{part:04}"));
            and_server_time(create(name, fields), COMMITTED_AT)
        })
        .collect())
}

impl FirestoreStore {
    async fn read_epoch(&self) -> Result<String, BackendError> {
        let name = self.client.name("settings", "epoch");
        loop {
            if let Some(found) = self.client.get(name.clone()).await? {
                return found.text("epoch").map(str::to_owned);
            }
            let fresh = Fields::new().with("epoch", text(hex(&rand::random::<[u8; 8]>())));
            match self.client.commit(vec![create(name.clone(), fresh)]).await {
                // Another was first.
                Ok(_) | Err(Fault::Conflict(_)) => {}
                Err(Fault::Backend(error)) => return Err(error),
            }
        }
    }
}

#[async_trait]
impl Feed for FirestoreStore {
    async fn epoch(&self) -> Result<String, BackendError> {
        self.epoch.get_or_try_init(|| self.read_epoch()).await.cloned()
    }

    async fn head(&self) -> Result<FeedCursor, BackendError> {
        let epoch = self.epoch().await?;
        let newest = Query::over(FEED).descending(COMMITTED_AT).limit(1);
        let answer = self.client.query(newest).await?;
        let newest = answer.documents.first().map(Place::of).transpose()?;
        let place = Place::head(newest, answer.read_at, self.options.feed_retention);
        Ok(place.cursor(&epoch))
    }

    async fn follow(&self, after: &FeedCursor) -> Result<FeedStart, BackendError> {
        let epoch = self.epoch().await?;
        let Some(after) = Place::parse(after, &epoch) else {
            return Ok(FeedStart::Gone);
        };
        let now = match self.client.server_time() {
            Some(now) => now,
            None => {
                let any = self.client.query(Query::over(FEED).limit(1)).await?;
                Some(any.read_at)
                    .filter(|read_at| *read_at > Timestamp::EPOCH)
                    .ok_or_else(|| unavailable("a query was answered without its time"))?
            }
        };
        let kept = now.minus(self.options.feed_retention)..now.plus(MARGIN);
        if !kept.contains(&after.committed_at()) {
            return Ok(FeedStart::Gone);
        }
        Ok(FeedStart::Reader(Box::new(Reader::new(self, epoch, after))))
    }
}
