//! The ledger: where every event went.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What became of the records of one partition so far. Match uses the first four, judge the last four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Events that no rule matched.
    pub clean: u64,
    /// Events that at least one rule matched.
    pub matched: u64,
    /// Records that could not be taken for an event, kept in the dead letters.
    pub dead_lettered: u64,
    /// Records seen before.
    pub duplicate: u64,
    /// Matches that completed a threat.
    pub stored: u64,
    /// Matches that went into a window without completing it.
    pub counted: u64,
    /// Matches whose threat was one too many in its minute; they count in the alert.
    pub suppressed: u64,
    /// Offsets at which the log holds no record: markers of a producer's transactions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.clean += other.clean;
        self.matched += other.matched;
        self.dead_lettered += other.dead_lettered;
        self.duplicate += other.duplicate;
        self.stored += other.stored;
        self.counted += other.counted;
        self.suppressed += other.suppressed;
        self.skipped += other.skipped;
    }
}

/// The first half: `ingested = clean + matched + duplicate + dead_lettered`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchLedger {
    /// Records behind the checkpoints, from the offsets.
    pub ingested: u64,
    /// No rule matched.
    pub clean: u64,
    /// A rule matched.
    pub matched: u64,
    /// Seen before.
    pub duplicate: u64,
    /// No event could be made of it.
    pub dead_lettered: u64,
    /// Gone from the log before it was read; zero unless retention passed a checkpoint.
    pub lost: u64,
}

/// The second half: `matches = stored + counted + suppressed + duplicate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgeLedger {
    /// Matches behind the checkpoints, from the offsets.
    pub matches: u64,
    /// Completed a threat.
    pub stored: u64,
    /// Went into a window.
    pub counted: u64,
    /// One too many of its kind.
    pub suppressed: u64,
    /// Seen before.
    pub duplicate: u64,
}

/// One partition's line in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerPartition {
    /// Which topic.
    pub topic: String,
    /// Which partition.
    pub partition: u32,
    /// The first record not yet analysed.
    pub next_offset: u64,
    /// Where the log begins.
    pub low: u64,
    /// Where the log ends.
    pub high: u64,
    /// What became of the records.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Both halves, and what the logs hold beyond the checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Events.
    #[serde(rename = "match")]
    pub matching: MatchLedger,
    /// Matches.
    pub judge: JudgeLedger,
    /// Records of both topics beyond the checkpoints.
    pub pending: u64,
    /// Line by line.
    pub partitions: Vec<LedgerPartition>,
    /// When it was read.
    pub as_of: Timestamp,
}
