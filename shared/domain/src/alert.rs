//! Alerts: threats that belong together, and what analysts do about them.

mod case;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::closed_set::closed_set;
use crate::{Severity, Timestamp};

pub use case::{AlertAction, AlertCase, InvalidTransition, Note, TimelineEntry};

closed_set! {
    /// How soon somebody must look.
    Priority, "priority" {
        /// Within 15 minutes.
        P1 = "P1",
        /// Within the hour.
        P2 = "P2",
        /// Within the shift.
        P3 = "P3",
        /// Within the day.
        P4 = "P4",
    }
}

impl Priority {
    /// The priority of a severity; `None` for INFO, which makes no alert.
    #[must_use]
    pub fn of(severity: Severity) -> Option<Self> {
        match severity {
            Severity::Critical => Some(Self::P1),
            Severity::High => Some(Self::P2),
            Severity::Medium => Some(Self::P3),
            Severity::Low => Some(Self::P4),
            Severity::Info => None,
        }
    }

    /// How long there is until somebody must have looked.
    #[must_use]
    pub fn response_time(self) -> Duration {
        Duration::from_secs(match self {
            Self::P1 => 15 * 60,
            Self::P2 => 60 * 60,
            Self::P3 => 8 * 60 * 60,
            Self::P4 => 24 * 60 * 60,
        })
    }
}

closed_set! {
    /// How far the work on an alert is. It only ever moves forward.
    AlertStatus, "status" {
        /// Nobody has looked.
        New = "NEW",
        /// Somebody has.
        Acknowledged = "ACKNOWLEDGED",
        /// Somebody works on it.
        Investigating = "INVESTIGATING",
        /// Done.
        Resolved = "RESOLVED",
        /// It was nothing.
        FalsePositive = "FALSE_POSITIVE",
    }
}

impl AlertStatus {
    /// True when no more threats join.
    #[must_use]
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Resolved | Self::FalsePositive)
    }
}

/// What the analyzer writes of an alert; one partition is its only writer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertGroup {
    /// `ALT-` and 20 hexadecimal digits.
    pub id: String,
    /// The threat that opened it.
    pub threat_id: String,
    /// The threats in it, oldest first; the last 100.
    pub threat_ids: Vec<String>,
    /// A line on what it is.
    pub title: String,
    /// A sentence on what it is.
    pub description: String,
    /// The worst of its threats'.
    pub severity: Severity,
    /// How soon somebody must look.
    pub priority: Priority,
    /// Where it comes from; at most 100.
    pub source_ips: Vec<String>,
    /// Hosts and addresses it is aimed at; at most 100.
    pub affected_systems: Vec<String>,
    /// ATT&CK techniques in it.
    pub mitre_attack_ids: Vec<String>,
    /// Events behind it, those of suppressed threats included.
    pub event_count: u64,
    /// The time of its first event.
    pub first_seen: Timestamp,
    /// The time of its last event.
    pub last_seen: Timestamp,
    /// When somebody must have looked.
    pub due_at: Timestamp,
    /// When the analyzer opened it.
    pub created_at: Timestamp,
    /// Every event behind it was a drill's.
    pub simulated: bool,
    /// The closed alert that this one follows.
    pub previous_alert: Option<String>,
}

/// An alert as the API and the socket show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The analyzer's part.
    #[serde(flatten)]
    pub group: AlertGroup,
    /// The analysts' part.
    #[serde(flatten)]
    pub case: AlertCase,
}
