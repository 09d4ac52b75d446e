//! Alerts, as they are looked up and worked on.

use std::collections::HashMap;

use async_trait::async_trait;
use threatstream_domain::{Alert, AlertCase, AlertStatus, Priority, Timestamp};

use super::Page;
use crate::BackendError;

/// Which alerts. Absent parts ask nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertQuery {
    /// Only those not closed.
    pub active: bool,
    /// Of this status.
    pub status: Option<AlertStatus>,
    /// Of this priority.
    pub priority: Option<Priority>,
    /// In these hands.
    pub assignee: Option<String>,
    /// Not acknowledged and due before this moment.
    pub overdue_at: Option<Timestamp>,
    /// Changed (by threats or by analysts) at or after.
    pub updated_since: Option<Timestamp>,
    /// At most this many, from 1.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Stored alerts.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// One alert.
    async fn alert(&self, id: &str) -> Result<Option<Alert>, BackendError>;

    /// Alerts, newest `created_at` first.
    ///
    /// # Errors
    /// `Rejected` for a cursor that this store did not give.
    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>, BackendError>;

    /// The analysts' part of these alerts; alerts that do not exist are absent.
    async fn cases(&self, ids: &[String]) -> Result<HashMap<String, AlertCase>, BackendError>;

    /// Replaces the analysts' part, durably, if it is still at `expected_version`, and tells the dashboards (an
    /// `alert_update` frame of the whole alert). The alert as it is now; `None`: it is at another version, or is not there.
    async fn save_case(
        &self,
        id: &str,
        expected_version: u64,
        case: AlertCase,
        now: Timestamp,
    ) -> Result<Option<Alert>, BackendError>;

    /// Tells the dashboards (an `alert_update` frame each) of alerts that nobody acknowledged before they were due, as far as they
    /// were not told of before, at most `limit`: those alerts, the longest due first. Each is told of once for its life, whoever asks
    /// and how often; nothing else about it changes.
    async fn tell_overdue(&self, limit: usize, now: Timestamp) -> Result<Vec<Alert>, BackendError>;
}
