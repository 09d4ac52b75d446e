//! Counters, risk and the ledger.

use utoipa::ToSchema;

use super::*;

/// The counters of the dashboard; null and empty where nothing was measured.
#[derive(ToSchema)]
pub(crate) struct DashboardStats {
    /// Events analysed.
    processed: u64,
    /// Addresses on the blocklist now.
    blocked: u64,
    /// Critical threats.
    critical: u64,
    /// Mean time from arrival to verdict over the last hour, in milliseconds.
    avg_detect_time: Option<f64>,
    /// The same for each minute of the last hour that had a threat, oldest first.
    latency_history: Vec<f64>,
    alerts_generated: u64,
    threats_detected: u64,
}

/// The risk now.
#[derive(ToSchema)]
pub(crate) struct RiskIndex {
    #[schema(maximum = 100)]
    value: u8,
    level: RiskLevel,
    /// Against five minutes ago.
    trend: RiskTrend,
    last_updated: Time,
}

/// A point of the risk timeline.
#[derive(ToSchema)]
pub(crate) struct TimelinePoint {
    /// The end of the minute, or now.
    timestamp: Time,
    /// `HH:MM:SS` in UTC.
    time: String,
    #[schema(maximum = 100)]
    risk: u8,
    /// The same as `risk`.
    #[schema(maximum = 100)]
    risk_score: u8,
    /// Threats of that minute, without those of drills.
    threats_detected: u64,
}

/// Where every event went: `ingested = clean + matched + duplicate + dead_lettered`.
#[derive(ToSchema)]
pub(crate) struct MatchLedger {
    ingested: u64,
    clean: u64,
    matched: u64,
    duplicate: u64,
    dead_lettered: u64,
    /// Gone from the log before it was read.
    lost: u64,
}

/// Where every match went: `matches = stored + counted + suppressed + duplicate`.
#[derive(ToSchema)]
pub(crate) struct JudgeLedger {
    matches: u64,
    /// Completed at least one threat; a match can complete two.
    stored: u64,
    /// Went into a window without completing it.
    counted: u64,
    /// One too many of its kind in a minute; counts in the alert.
    suppressed: u64,
    duplicate: u64,
}

/// One partition's line in the ledger.
#[derive(ToSchema)]
pub(crate) struct LedgerPartition {
    topic: String,
    partition: u32,
    /// The first record not yet analysed.
    next_offset: u64,
    /// Where the log begins.
    low: u64,
    /// Where the log ends.
    high: u64,
    clean: u64,
    matched: u64,
    dead_lettered: u64,
    duplicate: u64,
    stored: u64,
    counted: u64,
    suppressed: u64,
    /// Offsets that hold no record, which Kafka gives to markers of a producer's transactions; absent: none.
    skipped: Option<u64>,
}

/// Where every event went.
#[derive(ToSchema)]
pub(crate) struct Ledger {
    r#match: MatchLedger,
    judge: JudgeLedger,
    /// Records of both topics beyond the checkpoints.
    pending: u64,
    partitions: Vec<LedgerPartition>,
    as_of: Time,
}
