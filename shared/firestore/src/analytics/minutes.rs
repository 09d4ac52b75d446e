//! Counters by minute, read with as few documents as will do.
//!
//! Dashboards ask for the last hour or two every few seconds, and nearly all of it is as it was. What was read of the last
//! hours is kept; then only what was written since is asked for, by the server's time of each write, some seconds of it twice.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use firestore::gcloud_sdk::google::firestore::v1::Document;
use threatstream_backend::BackendError;
use threatstream_domain::{MinuteStats, Timestamp};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::codec::{ReadFields, int, time, unsigned};
use crate::query::Query;
use crate::store::FirestoreStore;

/// The collection: a document for each minute of each partition.
const MINUTES: &str = "minutes";

/// The server's time of the last write of a minute.
pub(crate) const UPDATED_AT: &str = "updated_at";

/// How far back what was read is kept, in minutes; what is older is asked for each time.
const KEPT: i64 = 180;

/// A write has its time before it can be seen, by no more than a request may take.
const OVERLAP: Duration = Duration::from_secs(15);

/// After so long, reading the minutes again costs no more than reading what was written since.
const STALE: Duration = Duration::from_secs(30 * 60);

/// What was read of the last hours.
#[derive(Default)]
pub(crate) struct RecentMinutes(Mutex<Option<Recent>>);

struct Recent {
    /// All minutes from here on.
    from: i64,
    /// By the server's clock, everything written until then.
    seen_until: Timestamp,
    /// When that was, by ours.
    read_at: Instant,
    /// By document.
    minutes: HashMap<String, MinuteStats>,
}

impl FirestoreStore {
    /// Minutes in which something was counted, both bounds included, in order, partitions added up.
    pub(super) async fn read_minutes(&self, from: i64, to: i64) -> Result<Vec<MinuteStats>, BackendError> {
        if from > to {
            return Ok(Vec::new());
        }
        let oldest_kept = self.options.clock.now().minute() - KEPT;
        if from < oldest_kept {
            let query = since(from).at_most("minute", int(to));
            let documents = self.client.query(query).await?.documents;
            let counted = documents.iter().filter(|document| self.is_live(document)).map(counted);
            return Ok(added_up(counted.collect::<Result<Vec<_>, _>>()?.iter(), from, to));
        }
        let mut kept = self.recent_minutes.0.lock().await;
        let usable = kept
            .take()
            .filter(|recent| recent.from <= from && recent.read_at.elapsed() < STALE);
        let recent = match usable {
            Some(recent) => self.caught_up(recent, oldest_kept).await?,
            None => self.read_since(from).await?,
        };
        let recent = kept.insert(recent);
        Ok(added_up(recent.minutes.values(), from, to))
    }

    async fn read_since(&self, from: i64) -> Result<Recent, BackendError> {
        let answer = self.client.query(since(from)).await?;
        let mut recent = Recent {
            from,
            seen_until: answer.read_at,
            read_at: Instant::now(),
            minutes: HashMap::with_capacity(answer.documents.len()),
        };
        recent.take_in(answer.documents)?;
        Ok(recent)
    }

    async fn caught_up(&self, mut recent: Recent, oldest_kept: i64) -> Result<Recent, BackendError> {
        let written_since = Query::over(MINUTES)
            .above(UPDATED_AT, time(recent.seen_until.minus(OVERLAP)))
            .ascending(UPDATED_AT);
        let answer = self.client.query(written_since).await?;
        recent.take_in(answer.documents)?;
        recent.seen_until = recent.seen_until.max(answer.read_at);
        recent.read_at = Instant::now();
        if recent.from < oldest_kept {
            recent.from = oldest_kept;
            recent.minutes.retain(|_, minute| minute.minute >= oldest_kept);
        }
        Ok(recent)
    }
}

impl Recent {
    fn take_in(&mut self, documents: Vec<Document>) -> Result<(), BackendError> {
        for document in documents {
            let minute = counted(&document)?;
            if minute.minute >= self.from {
                self.minutes.insert(document.name, minute);
            }
        }
        Ok(())
    }
}

fn since(minute: i64) -> Query {
    Query::over(MINUTES).at_least("minute", int(minute)).ascending("minute")
}

fn added_up<'a>(counted: impl Iterator<Item = &'a MinuteStats>, from: i64, to: i64) -> Vec<MinuteStats> {
    let mut minutes: BTreeMap<i64, MinuteStats> = BTreeMap::new();
    for part in counted.filter(|part| (from..=to).contains(&part.minute)) {
        let minute = minutes.entry(part.minute).or_insert_with(|| MinuteStats {
            minute: part.minute,
            ..MinuteStats::default()
        });
        minute.add(part);
    }
    minutes.into_values().collect()
}

fn counted(document: &Document) -> Result<MinuteStats, BackendError> {
    let count = |field: &str| document.count(field).map(unsigned);
    Ok(MinuteStats {
        minute: document.int("minute")?,
        processed: count("processed")?,
        threats: [
            count("info")?,
            count("low")?,
            count("medium")?,
            count("high")?,
            count("critical")?,
        ],
        simulated_threats: count("simulated")?,
        alerts: count("alerts")?,
        detect_ms: document.number("detect_ms")?,
        detected: count("detected")?,
    })
}
