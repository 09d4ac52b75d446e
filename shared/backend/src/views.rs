//! What the API answers and the relay pushes alike, worked out of what the backends hold.

use serde::Serialize;
use threatstream_domain::{
    JudgeLedger, Ledger, LedgerPartition, MatchLedger, MinuteStats, RISK_WINDOW_MINUTES, RiskIndex, Tally, Timestamp,
    risk_at, risk_index,
};

use crate::{BackendError, Backends, Checkpoint, Store, Watermarks};

/// How many minutes the timeline and the latency history reach back.
pub const TIMELINE_MINUTES: i64 = 60;

/// The counters of the dashboard. Nothing measured: null, or an empty list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DashboardStats {
    /// Events analysed.
    pub processed: u64,
    /// Addresses on the blocklist now.
    pub blocked: u64,
    /// Critical threats.
    pub critical: u64,
    /// Mean time from arrival to verdict over the last hour, in milliseconds.
    pub avg_detect_time: Option<f64>,
    /// The same for each minute of the last hour that had a threat, oldest first.
    pub latency_history: Vec<f64>,
    /// Alerts opened.
    pub alerts_generated: u64,
    /// Threats stored.
    pub threats_detected: u64,
}

/// A point of the risk timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimelinePoint {
    /// The end of the minute, or now.
    pub timestamp: Timestamp,
    /// `HH:MM:SS` in UTC.
    pub time: String,
    /// 0 to 100.
    pub risk: u8,
    /// The same, under the name that clients of the summary know.
    pub risk_score: u8,
    /// Threats of that minute, without those of drills.
    pub threats_detected: u64,
}

/// The dashboard's counters now.
///
/// # Errors
/// Whatever the store fails with.
pub async fn dashboard(backends: &Backends, now: Timestamp) -> Result<DashboardStats, BackendError> {
    let store = &backends.store;
    let totals = store.totals(now).await?;
    let processed = store
        .checkpoints(&backends.topics.raw)
        .await?
        .iter()
        .map(|c| c.tally.clean + c.tally.matched)
        .sum();
    let minutes = store.minutes(now.minute() - TIMELINE_MINUTES + 1, now.minute()).await?;
    let measured: Vec<&MinuteStats> = minutes.iter().filter(|minute| minute.detected > 0).collect();
    let mean = |sum: f64, count: u64| {
        #[expect(clippy::cast_precision_loss, reason = "counts lie far below 2^52")]
        let mean = sum / count as f64;
        (mean * 1000.0).round() / 1000.0
    };
    let detected: u64 = measured.iter().map(|minute| minute.detected).sum();
    Ok(DashboardStats {
        processed,
        blocked: totals.blocked,
        critical: totals.critical,
        avg_detect_time: (detected > 0).then(|| mean(measured.iter().map(|minute| minute.detect_ms).sum(), detected)),
        latency_history: measured
            .iter()
            .map(|minute| mean(minute.detect_ms, minute.detected))
            .collect(),
        alerts_generated: totals.alerts_generated,
        threats_detected: totals.threats_detected,
    })
}

/// The risk index now.
///
/// # Errors
/// Whatever the store fails with.
pub async fn risk(store: &dyn Store, now: Timestamp) -> Result<RiskIndex, BackendError> {
    let minutes = store
        .minutes(now.minute() - RISK_WINDOW_MINUTES - 5, now.minute())
        .await?;
    Ok(risk_index(now, &minutes))
}

/// The risk of the last hour, a point a minute, oldest first; the last point is now.
///
/// # Errors
/// Whatever the store fails with.
pub async fn risk_timeline(store: &dyn Store, now: Timestamp) -> Result<Vec<TimelinePoint>, BackendError> {
    let first = now.minute() - TIMELINE_MINUTES + 1;
    let minutes = store.minutes(first - RISK_WINDOW_MINUTES, now.minute()).await?;
    Ok((first..=now.minute())
        .map(|minute| {
            let timestamp = if minute == now.minute() {
                now
            } else {
                Timestamp::from_secs((minute + 1) * 60)
            };
            let risk = risk_at(minute, &minutes);
            let threats_detected = minutes
                .iter()
                .filter(|m| m.minute == minute)
                .map(MinuteStats::threat_count)
                .sum();
            TimelinePoint {
                timestamp,
                time: timestamp.clock_face(),
                risk,
                risk_score: risk,
                threats_detected,
            }
        })
        .collect())
}

/// The ledger. Each partition's offset and counters come from one record, so both equations hold at every moment.
///
/// # Errors
/// Whatever the log or the store fails with.
pub async fn ledger(backends: &Backends, now: Timestamp) -> Result<Ledger, BackendError> {
    let topics = &backends.topics;
    // Checkpoints before watermarks: what is pending can then never come out negative.
    let raw = backends.store.checkpoints(&topics.raw).await?;
    let matches = backends.store.checkpoints(&topics.matches).await?;
    let raw_marks = backends.log.watermarks(&topics.raw).await?;
    let match_marks = backends.log.watermarks(&topics.matches).await?;

    let sum = |checkpoints: &[Checkpoint]| {
        let mut tally = Tally::default();
        checkpoints.iter().for_each(|checkpoint| tally.add(&checkpoint.tally));
        (
            checkpoints.iter().map(|c| c.next_offset).sum::<u64>(),
            checkpoints.iter().map(|c| c.lost).sum::<u64>(),
            tally,
        )
    };
    let (offsets, lost, tally) = sum(&raw);
    let matching = MatchLedger {
        ingested: offsets.saturating_sub(lost).saturating_sub(tally.skipped),
        clean: tally.clean,
        matched: tally.matched,
        duplicate: tally.duplicate,
        dead_lettered: tally.dead_lettered,
        lost,
    };
    let (offsets, lost, tally) = sum(&matches);
    let judge = JudgeLedger {
        matches: offsets.saturating_sub(lost),
        stored: tally.stored,
        counted: tally.counted,
        suppressed: tally.suppressed,
        duplicate: tally.duplicate,
    };
    let mut partitions = lines(&topics.raw, &raw, &raw_marks);
    partitions.extend(lines(&topics.matches, &matches, &match_marks));
    let pending = partitions
        .iter()
        .map(|line| line.high.saturating_sub(line.next_offset))
        .sum();
    Ok(Ledger {
        matching,
        judge,
        pending,
        partitions,
        as_of: now,
    })
}

fn lines(topic: &str, checkpoints: &[Checkpoint], marks: &[Watermarks]) -> Vec<LedgerPartition> {
    (0u32..)
        .zip(marks)
        .map(|(partition, marks)| {
            let checkpoint = checkpoints.iter().find(|checkpoint| checkpoint.partition == partition);
            LedgerPartition {
                topic: topic.to_owned(),
                partition,
                next_offset: checkpoint.map_or(0, |checkpoint| checkpoint.next_offset),
                low: marks.low,
                high: marks.high,
                tally: checkpoint.map_or_else(Tally::default, |checkpoint| checkpoint.tally),
            }
        })
        .collect()
}
