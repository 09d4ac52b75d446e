//! The minute's metrics: a record a minute on how the platform fares, for whoever watches it from outside.
//!
//! A record is keyed by its minute. What the topic ends with says which minute was told last; minutes missed since are told after the
//! fact from the store's counters. Two processes that sweep at the same moment may tell a minute twice: consumers keep one of each key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use threatstream_backend::{
    BackendError, Backends, Durability, QueueDepth, RESPOND_QUEUE, Record, SIMULATE_QUEUE, views,
};
use threatstream_domain::{MinuteStats, Severity, Timestamp};

use crate::execution::Engine;

/// How long after its end a minute is told: what was judged in its last moment is committed by then.
const SETTLED: Duration = Duration::from_secs(5);
/// At most so many missed minutes are told.
const MISSED: i64 = 60;
/// How long the end of the topic may take to be read.
const PATIENCE: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 256 * 1024;
/// The queues whose depth is told.
const QUEUES: [&str; 2] = [RESPOND_QUEUE, SIMULATE_QUEUE];

/// One minute. What was not measured is null.
#[derive(Serialize)]
struct Metrics<'a> {
    /// Its beginning; the record's key.
    minute: Timestamp,
    /// When this was written.
    told_at: Timestamp,
    /// Events matched against the rules.
    processed: u64,
    /// Threats stored by severity, without those of drills.
    threats: BTreeMap<&'static str, u64>,
    /// Threats of drills.
    simulated_threats: u64,
    /// Alerts opened.
    alerts: u64,
    /// Mean time from arrival to verdict, in milliseconds; null: there was no threat.
    detect_ms: Option<f64>,
    /// How things stood when this was written; null in a minute that is told after the fact.
    standing: Option<&'a Standing>,
}

/// How things stand now.
#[derive(Serialize)]
struct Standing {
    /// Records beyond the checkpoints.
    pending: u64,
    /// The same by topic.
    lag: BTreeMap<String, u64>,
    /// Records that no event could be made of, since the beginning.
    dead_letters: u64,
    /// Records that the log had lost before they were read, since the beginning.
    lost: u64,
    /// The depth of each queue; null: the queue did not say.
    queues: BTreeMap<&'static str, Option<QueueDepth>>,
}

impl Engine {
    /// Tells the minutes that have settled and were not told. Says which, by their beginnings.
    pub(crate) async fn tell_minutes(&self) -> Result<Vec<Timestamp>, BackendError> {
        let _telling = self.telling.lock().await;
        let backends = &self.backends;
        let now = self.clock.now();
        let newest = now.minus(SETTLED).minute() - 1;
        let first = match last_told(backends).await? {
            Some(last) => (last + 1).max(newest - MISSED + 1),
            None => newest,
        };
        if first > newest {
            return Ok(Vec::new());
        }
        let counted = backends.store.minutes(first, newest).await?;
        let standing = standing(backends, now).await?;
        let nothing = MinuteStats::default();
        let (minutes, records) = (first..=newest)
            .map(|minute| {
                let stats = counted.iter().find(|stats| stats.minute == minute).unwrap_or(&nothing);
                let begin = Timestamp::from_secs(minute * 60);
                let metrics = metrics(begin, now, stats, (minute == newest).then_some(&standing));
                (begin, metrics)
            })
            .map(|(begin, metrics)| Ok((begin, record(&metrics)?)))
            .collect::<Result<(Vec<_>, Vec<_>), BackendError>>()?;
        backends
            .log
            .append(&backends.topics.metrics, records, Durability::Redoable)
            .await?;
        // Monitoring reads these out of the log.
        tracing::info!(
            pending = standing.pending,
            dead_letters = standing.dead_letters,
            lost = standing.lost,
            "measured the minute"
        );
        Ok(minutes)
    }
}

/// The last minute that the topic tells of.
async fn last_told(backends: &Backends) -> Result<Option<i64>, BackendError> {
    let topic = &backends.topics.metrics;
    let marks = backends.log.watermarks(topic).await?;
    let ends: Vec<(u32, u64)> = (0u32..)
        .zip(&marks)
        .filter(|(_, marks)| marks.high > marks.low)
        .map(|(partition, marks)| (partition, marks.high - 1))
        .collect();
    if ends.is_empty() {
        return Ok(None);
    }
    let mut reader = backends.log.open(topic, &ends).await?;
    let mut unread: BTreeSet<u32> = ends.iter().map(|(partition, _)| *partition).collect();
    let mut last = None;
    while !unread.is_empty() {
        let batch = reader.next(READ_BYTES, PATIENCE).await?;
        if batch.is_empty() {
            return Err(BackendError::Unavailable {
                backend: "event log",
                message: format!("the end of {topic} cannot be read"),
            });
        }
        for partition in batch {
            unread.remove(&partition.partition);
            // A key that is no time is not one of ours.
            let minutes = partition
                .records
                .iter()
                .filter_map(|record| record.key.parse::<Timestamp>().ok());
            last = last.max(minutes.map(Timestamp::minute).max());
        }
    }
    Ok(last)
}

async fn standing(backends: &Backends, now: Timestamp) -> Result<Standing, BackendError> {
    let ledger = views::ledger(backends, now).await?;
    let mut lag = BTreeMap::new();
    for line in &ledger.partitions {
        *lag.entry(line.topic.clone()).or_default() += line.high.saturating_sub(line.next_offset);
    }
    let mut queues = BTreeMap::new();
    for queue in QUEUES {
        let depth = backends.tasks.depth(queue).await;
        if let Err(error) = &depth {
            tracing::warn!(queue, %error, "the depth of a queue is unknown");
        }
        queues.insert(queue, depth.ok());
    }
    Ok(Standing {
        pending: ledger.pending,
        lag,
        dead_letters: ledger.matching.dead_lettered,
        lost: ledger.matching.lost,
        queues,
    })
}

fn metrics<'a>(
    minute: Timestamp,
    told_at: Timestamp,
    stats: &MinuteStats,
    standing: Option<&'a Standing>,
) -> Metrics<'a> {
    #[expect(clippy::cast_precision_loss, reason = "counts lie far below 2^52")]
    let mean = |sum: f64, count: u64| sum / count as f64;
    Metrics {
        minute,
        told_at,
        processed: stats.processed,
        threats: Severity::NAMES.iter().copied().zip(stats.threats).collect(),
        simulated_threats: stats.simulated_threats,
        alerts: stats.alerts,
        detect_ms: (stats.detected > 0).then(|| mean(stats.detect_ms, stats.detected)),
        standing,
    }
}

fn record(metrics: &Metrics<'_>) -> Result<Record, BackendError> {
    let value = serde_json::to_vec(metrics).map_err(|error| BackendError::Rejected {
        backend: "event log",
        message: format!("the minute's metrics cannot be written as JSON: {error}"),
    })?;
    Ok(Record {
        key: metrics.minute.to_string(),
        value: value.into(),
        headers: Vec::new(),
    })
}
