//! Reading the feed as it grows.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use firestore::gcloud_sdk::google::firestore::v1::target::query_target::QueryType;
use firestore::gcloud_sdk::google::firestore::v1::target::{QueryTarget, TargetType};
use firestore::gcloud_sdk::google::firestore::v1::{
    Document, ListenRequest, ListenResponse, Target, listen_request::TargetChange,
};
use threatstream_backend::{BackendError, FeedReader, FeedRecord};
use threatstream_domain::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Streaming;

use super::place::Place;
use super::window::{TARGET, Window};
use super::{COMMITTED_AT, FEED, OVERLAP, frames};
use crate::client::Client;
use crate::codec::{ReadFields, time};
use crate::error::{of_read, rejected, unavailable};
use crate::query::Query;
use crate::store::FirestoreStore;

/// A listener holds on to what it has found, and may say all of it again: from so many old records on, it is opened anew
/// without them.
const MAX_PAST: usize = 100;

const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

type Changes = Streaming<ListenResponse>;

/// How the stream of changes is.
enum Stream {
    /// To be opened at this time.
    Closed(Instant),
    /// Being opened, in a task of its own: a reader that waits for a moment only must get there too.
    Opening(JoinHandle<Result<Changes, BackendError>>),
    /// Open, and last heard of then.
    Open(Box<Changes>, Instant),
}

/// Reads on from a place.
pub(super) struct Reader {
    client: Client,
    epoch: String,
    retention: Duration,
    /// A listener that says nothing for so long is checked on, for it gives no sign of an outage.
    silence: Duration,
    window: Window,
    stream: Stream,
    ready: VecDeque<FeedRecord>,
    /// Why the stream was closed, until it has said something again.
    failure: Option<String>,
    backoff: Duration,
}

impl Reader {
    pub(super) fn new(store: &FirestoreStore, epoch: String, after: Place) -> Self {
        Self {
            client: store.client.clone(),
            epoch,
            retention: store.options.feed_retention,
            silence: store.options.feed_silence,
            window: Window::after(after),
            stream: Stream::Closed(Instant::now()),
            ready: VecDeque::new(),
            failure: None,
            backoff: MIN_BACKOFF,
        }
    }

    /// Where a stream that is opened now must begin.
    fn since(&self) -> Timestamp {
        self.window.complete_to().minus(OVERLAP)
    }

    /// One step towards the next record; false when `deadline` has come. Being dropped at any point loses nothing.
    async fn advance(&mut self, deadline: Instant) -> Result<bool, BackendError> {
        match &mut self.stream {
            Stream::Closed(until) => {
                if timeout_at(deadline, sleep_until(*until)).await.is_err() {
                    return self.gave_up();
                }
                self.open()?;
                Ok(true)
            }
            Stream::Opening(opening) => match timeout_at(deadline, opening).await {
                Err(_) => self.gave_up(),
                Ok(Ok(Ok(changes))) => {
                    self.stream = Stream::Open(Box::new(changes), Instant::now());
                    Ok(true)
                }
                Ok(Ok(Err(error))) => self.failed(error).map(|()| true),
                Ok(Err(_)) => self
                    .failed(unavailable("the opening of a listener was aborted"))
                    .map(|()| true),
            },
            Stream::Open(changes, heard) => {
                let silent_at = *heard + self.silence;
                match timeout_at(deadline.min(silent_at), changes.message()).await {
                    Ok(Ok(Some(message))) => {
                        *heard = Instant::now();
                        self.take(message).map(|()| true)
                    }
                    Ok(Ok(None)) => self.failed(unavailable("the listener was closed")).map(|()| true),
                    Ok(Err(status)) => self.failed(of_read(&status)).map(|()| true),
                    Err(_) if silent_at <= deadline => self.check_on().await.map(|()| true),
                    Err(_) => Ok(false),
                }
            }
        }
    }

    /// The time is up while there is no stream: whoever waits is told, if there was a reason to.
    fn gave_up(&self) -> Result<bool, BackendError> {
        match &self.failure {
            Some(failure) => Err(unavailable(format!("the feed cannot be followed: {failure}"))),
            None => Ok(false),
        }
    }

    fn open(&mut self) -> Result<(), BackendError> {
        let lost = |now: Timestamp| self.window.complete_to() < now.minus(self.retention);
        if self.client.server_time().is_some_and(lost) {
            // Who fell behind retention must learn that something may be missing, rather than read on beyond it.
            return Err(rejected("the feed no longer has what comes next"));
        }
        let since = self.since();
        self.window.reopen(since);
        let query = Query::over(FEED)
            .above(COMMITTED_AT, time(since))
            .ascending(COMMITTED_AT);
        let request = ListenRequest {
            target_change: Some(TargetChange::AddTarget(Target {
                target_id: TARGET,
                target_type: Some(TargetType::Query(QueryTarget {
                    parent: self.client.root(),
                    query_type: Some(QueryType::StructuredQuery(query.build())),
                })),
                ..Target::default()
            })),
            ..ListenRequest::default()
        };
        // A listener that finds nothing is billed as a query that does not.
        self.client.meter().queried(0);
        let client = self.client.clone();
        self.stream = Stream::Opening(tokio::spawn(async move { client.listen(request).await }));
        Ok(())
    }

    /// The stream is of no use any more; what can pass is waited for, a little longer each time.
    fn failed(&mut self, error: BackendError) -> Result<(), BackendError> {
        self.stream = Stream::Closed(Instant::now() + self.backoff);
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        if !error.is_retryable() {
            return Err(error);
        }
        tracing::debug!(%error, "the feed's listener ended; opening another");
        self.failure = Some(error.to_string());
        Ok(())
    }

    fn take(&mut self, message: ListenResponse) -> Result<(), BackendError> {
        let Some(message) = message.response_type else {
            return Ok(());
        };
        let promised = self.window.complete_to();
        let heard = match self.window.take(message, |time| self.client.heard(Some(time))) {
            Ok(heard) => heard,
            Err(error) => return self.failed(error),
        };
        self.client.meter().read(heard.new);
        for committed_at in &heard.late {
            self.client.meter().came_late();
            tracing::warn!(
                %committed_at,
                snapshot = %promised,
                "a record of the feed comes after a later one: a snapshot that should have held it did not"
            );
        }
        if heard.settled {
            self.failure = None;
            self.backoff = MIN_BACKOFF;
        }
        for (place, document) in heard.records {
            match record(&place, &document, &self.epoch) {
                Ok(record) => self.ready.push_back(record),
                // It will never read; what follows it will.
                Err(error) => tracing::error!(document = document.name, %error, "a record of the feed is left out"),
            }
        }
        let past = self.window.past(self.since());
        if heard.settled && past >= MAX_PAST && past * 2 >= self.window.held() {
            self.stream = Stream::Closed(Instant::now());
        }
        Ok(())
    }

    /// Asks the database what the silent listener should have said.
    async fn check_on(&mut self) -> Result<(), BackendError> {
        let query = Query::over(FEED)
            .above(COMMITTED_AT, time(self.since()))
            .ascending(COMMITTED_AT);
        let answer = match self.client.query(query).await {
            Ok(answer) => answer,
            Err(error) => return self.failed(error),
        };
        for document in &answer.documents {
            if self.window.is_news(&Place::of(document)?) {
                return self.failed(unavailable("the listener has fallen silent"));
            }
        }
        self.window.confirm(answer.read_at);
        if let Stream::Open(_, heard) = &mut self.stream {
            *heard = Instant::now();
        }
        Ok(())
    }
}

fn record(place: &Place, document: &Document, epoch: &str) -> Result<FeedRecord, BackendError> {
    Ok(FeedRecord {
        cursor: place.cursor(epoch),
        committed_at: Timestamp::from_micros(document.int("told_at")?),
        frames: frames::unpack(document.bytes("frames")?)?,
    })
}

#[async_trait]
impl FeedReader for Reader {
    async fn next(&mut self, limit: usize, wait: Duration) -> Result<Vec<FeedRecord>, BackendError> {
        let deadline = Instant::now() + wait;
        while self.ready.is_empty() {
            if !self.advance(deadline).await? {
                return Ok(Vec::new());
            }
        }
        let given = self.ready.len().min(limit.max(1));
        Ok(self.ready.drain(..given).collect())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Stream::Opening(opening) = &self.stream {
            opening.abort();
        }
    }
}
