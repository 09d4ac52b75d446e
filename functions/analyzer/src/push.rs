//! `POST /`: a connector brings the records of the raw topic, as Confluent's sinks for functions and for HTTP do.
//!
//! Records that begin at the checkpoint of their partition are used as they are; records before it are done. In any other
//! case the push is a wake-up, and the log is read from the checkpoint. Either way the request is a drain like any other, and
//! is answered once nothing is left.
//!
//! A value of which the connector does not say where it lies in the log is appended to it first. Its id is its own if it
//! has one, and otherwise follows from the whole body and its place in it: the same request sent again counts nothing twice,
//! and equal lines of one request all count. A connector that puts the same values together in another way when it sends them
//! again makes new events of them.

mod body;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use threatstream_backend::{Durability, LoggedRecord, Record};
use threatstream_detection::decode::vendor_id;
use threatstream_domain::{Envelope, MAX_EVENT_BYTES, MAX_EVENT_ID_BYTES, Timestamp, derived_id};
use threatstream_runtime::extract::body_problem;
use threatstream_runtime::{Json, Problem, Shutdown};

use crate::StageError;
use crate::drain::{Drainer, Offers, Report};
use crate::failure::problem;
pub use body::{MAX_RECORDS, Pushed, PushedRecord, TooMany, read};

/// Bodies up to this many bytes are read where they arrive.
const INLINE_BYTES: usize = 64 * 1024;
/// Who the simulator says it is. The mark that tells its events from real ones lies in the record's header, which no connector
/// brings: such records are read from the log.
const SIMULATOR: &str = "simulator";
/// Who sent a value that a connector brought without its place.
const SENDER: &str = "connector";

/// What a push came to.
#[derive(Debug, Serialize)]
pub(crate) struct PushReport {
    /// Values that were appended to the log first.
    appended: usize,
    /// What was neither a record nor a value.
    dead_lettered: usize,
    #[serde(flatten)]
    drain: Report,
}

/// Answers `POST /`.
pub(crate) async fn post_records(
    State(drainer): State<Arc<Drainer>>,
    shutdown: Option<Extension<Shutdown>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<PushReport>, Problem> {
    drainer.authorize(&headers)?;
    let body = body.map_err(|rejection| body_problem(&rejection))?;
    let pushed = if body.len() <= INLINE_BYTES {
        read(&body)
    } else {
        let body = body.clone();
        tokio::task::spawn_blocking(move || read(&body))
            .await
            .map_err(|_| problem(&StageError::Stopping))?
    };
    let pushed = pushed.map_err(|error| Problem::payload_too_large(error.to_string()))?;
    let sorted = sort(&drainer, pushed, &body).await.map_err(|error| problem(&error))?;
    let (appended, dead_lettered) = (sorted.appends.len(), sorted.dead.len());
    let offers = put(&drainer, sorted).await.map_err(|error| problem(&error))?;
    let shutdown = shutdown.map(|Extension(shutdown)| shutdown).unwrap_or_default();
    let drain = drainer.drain(offers, shutdown).await.map_err(|error| problem(&error))?;
    tracing::info!(
        status = ?drain.status,
        pushed = drain.events_pushed,
        appended,
        dead_lettered,
        events = drain.events_matched,
        pending = drain.pending,
        ms = drain.duration_ms,
        "push worked"
    );
    Ok(Json(PushReport {
        appended,
        dead_lettered,
        drain,
    }))
}

/// What is to become of what was posted.
#[derive(Default)]
struct Sorted {
    /// Records of the raw topic.
    offers: Offers,
    /// To be appended to the raw topic.
    appends: Vec<Record>,
    dead: Vec<Record>,
}

async fn sort(drainer: &Drainer, pushed: Vec<Pushed>, body: &Bytes) -> Result<Sorted, StageError> {
    let backends = &drainer.dependencies.backends;
    let raw = &backends.topics.raw;
    let partitions = if pushed.iter().any(|pushed| matches!(pushed, Pushed::Record(_))) {
        backends.log.partitions(raw).await?
    } else {
        0
    };
    let now = drainer.dependencies.clock.now();
    let mut sorted = Sorted::default();
    // Made of the whole body, and only when something needs it.
    let mut name = None;
    for (at, pushed) in pushed.into_iter().enumerate() {
        match pushed {
            Pushed::Unreadable(bytes, reason) => sorted.dead.push(dead(&bytes, &reason)),
            Pushed::Bare(value) => {
                let name = name.get_or_insert_with(|| derived_id("EVT", &[&String::from_utf8_lossy(body)]));
                sorted.append(&value, || format!("{name}-{at}"), now);
            }
            Pushed::Record(record) if record.topic.as_ref().is_some_and(|topic| topic != raw) => {
                let topic = record.topic.unwrap_or_default();
                let place = format!("{topic}-{}-{}", record.partition, record.offset);
                sorted.append(&record.value, || derived_id("EVT", &[&place]), now);
            }
            Pushed::Record(record) if record.partition >= partitions => {
                let reason = format!("{raw} has no partition {}", record.partition);
                sorted.dead.push(dead(&record.value, &reason));
            }
            Pushed::Record(record) => sorted.offer(record, now),
        }
    }
    for records in sorted.offers.values_mut() {
        records.sort_by_key(|record| record.offset);
    }
    Ok(sorted)
}

impl Sorted {
    fn offer(&mut self, record: PushedRecord, now: Timestamp) {
        // Left out, it is a gap, and from there on the log is read.
        if Envelope::from_bytes(&record.value).is_some_and(|envelope| envelope.sender == SIMULATOR) {
            return;
        }
        self.offers.entry(record.partition).or_default().push(LoggedRecord {
            offset: record.offset,
            timestamp: record.timestamp.unwrap_or(now),
            key: record.key,
            value: record.value,
            headers: Vec::new(),
        });
    }

    fn append(&mut self, value: &Bytes, name: impl FnOnce() -> String, now: Timestamp) {
        if let Some(envelope) = Envelope::from_bytes(value) {
            match refused(&envelope) {
                None => self.appends.push(Record::of_event(&envelope, None)),
                Some(reason) => self.dead.push(dead(value, &reason)),
            }
            return;
        }
        if value.trim_ascii().is_empty() {
            return self.dead.push(dead(value, "the value is empty"));
        }
        if value.len() > MAX_EVENT_BYTES {
            let reason = format!("the event has {} bytes; {MAX_EVENT_BYTES} are allowed", value.len());
            return self.dead.push(dead(value, &reason));
        }
        let raw = String::from_utf8_lossy(value);
        let event_id = vendor_id(&raw).unwrap_or_else(|| name().into());
        let envelope = Envelope {
            event_id,
            format: "auto".into(),
            received_at: now,
            sender: SENDER.into(),
            raw: raw.as_ref().into(),
        };
        self.appends.push(Record::of_event(&envelope, None));
    }
}

/// Why an envelope that somebody else has made is not appended: match would not take it, or the log would not.
fn refused(envelope: &Envelope<'_>) -> Option<String> {
    let Envelope {
        event_id,
        format,
        sender,
        raw,
        ..
    } = envelope;
    if raw.len() > MAX_EVENT_BYTES {
        let bytes = raw.len();
        return Some(format!("the event has {bytes} bytes; {MAX_EVENT_BYTES} are allowed"));
    }
    let names = [("event_id", event_id), ("format", format), ("sender", sender)];
    let (name, _) = names.into_iter().find(|(_, text)| text.len() > MAX_EVENT_ID_BYTES)?;
    Some(format!("{name}: more than {MAX_EVENT_ID_BYTES} bytes"))
}

/// A dead letter of what has no place in the log; the beginning of it when it is too long for one.
fn dead(value: &Bytes, reason: &str) -> Record {
    let mut headers = BTreeMap::from([("dead-letter-reason", reason.to_owned())]);
    if value.len() > MAX_EVENT_BYTES {
        headers.insert("dead-letter-bytes", value.len().to_string());
    }
    Record {
        key: derived_id("DEAD", &[&String::from_utf8_lossy(value)]),
        value: value.slice(..value.len().min(MAX_EVENT_BYTES)),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect(),
    }
}

/// Appends what is to be appended; what remains is offered to match.
async fn put(drainer: &Drainer, sorted: Sorted) -> Result<Offers, StageError> {
    let backends = &drainer.dependencies.backends;
    let (log, topics) = (&backends.log, &backends.topics);
    if !sorted.dead.is_empty() {
        tracing::warn!(
            count = sorted.dead.len(),
            "what was pushed and is no event went to the dead letters"
        );
        log.append(&topics.dead_letters, sorted.dead, Durability::Promised)
            .await?;
    }
    if !sorted.appends.is_empty() {
        log.append(&topics.raw, sorted.appends, Durability::Promised).await?;
    }
    Ok(sorted.offers)
}
