//! Counters over time.

use async_trait::async_trait;
use serde::Serialize;
use threatstream_domain::{MinuteStats, Timestamp};

use crate::BackendError;

/// Sums since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Alerts opened.
    pub alerts_generated: u64,
    /// Threats stored.
    pub threats_detected: u64,
    /// Threats of severity CRITICAL among them.
    pub critical: u64,
    /// Addresses on the blocklist now.
    pub blocked: u64,
}

/// Counters over time.
#[async_trait]
pub trait Analytics: Send + Sync {
    /// Minutes in which something was counted, from `from` to `to` (minutes since 1970, both included), in order, partitions
    /// added up.
    async fn minutes(&self, from: i64, to: i64) -> Result<Vec<MinuteStats>, BackendError>;

    /// Sums since the beginning.
    async fn totals(&self, now: Timestamp) -> Result<Totals, BackendError>;
}
