//! Alerts: threats that belong together, and what analysts do about them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::closed_set::closed_set;
use crate::{Severity, Timestamp};

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

/// A remark of an analyst.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Who wrote it.
    pub analyst_id: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// A step in an alert's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// Who took it.
    pub by: String,
    /// What was done: `acknowledged`, `assigned`, `resolved`.
    pub action: String,
    /// With what remark.
    pub notes: Option<String>,
}

/// What analysts write of an alert. `version` counts their changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertCase {
    /// How far the work is.
    pub status: AlertStatus,
    /// Who has it.
    pub assigned_to: Option<String>,
    /// When somebody first looked.
    pub acknowledged_at: Option<Timestamp>,
    /// Who looked.
    pub acknowledged_by: Option<String>,
    /// When it was closed.
    pub resolved_at: Option<Timestamp>,
    /// Who closed it.
    pub resolved_by: Option<String>,
    /// `RESOLVED` or `FALSE_POSITIVE`, once closed.
    pub resolution: Option<AlertStatus>,
    /// Remarks, oldest first.
    pub notes: Vec<Note>,
    /// Steps, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// Changes by analysts so far.
    pub version: u64,
}

impl Default for AlertCase {
    fn default() -> Self {
        Self {
            status: AlertStatus::New,
            assigned_to: None,
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_at: None,
            resolved_by: None,
            resolution: None,
            notes: Vec::new(),
            timeline: Vec::new(),
            version: 0,
        }
    }
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

/// What an analyst does to an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertAction {
    /// I have seen it.
    Acknowledge,
    /// This person has it.
    Assign(String),
    /// I work on it.
    Investigate,
    /// It is over: `Resolved` or `FalsePositive`.
    Resolve(AlertStatus),
    /// A remark alone.
    Note,
}

/// Why an action does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an alert that is {from} cannot become {to}")]
pub struct InvalidTransition {
    /// What it is.
    pub from: AlertStatus,
    /// What it was to become.
    pub to: AlertStatus,
}

impl AlertCase {
    /// Applies an action. Repeating what already holds changes nothing and succeeds (`Ok(false)`).
    ///
    /// # Errors
    /// [`InvalidTransition`] for a step backwards, or for any step of a closed alert but a note.
    pub fn apply(
        &mut self,
        action: &AlertAction,
        analyst: &str,
        notes: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, InvalidTransition> {
        let target = match action {
            AlertAction::Acknowledge => AlertStatus::Acknowledged,
            AlertAction::Investigate => AlertStatus::Investigating,
            AlertAction::Resolve(to) => *to,
            AlertAction::Assign(_) | AlertAction::Note => self.status,
        };
        if target < self.status || (self.status.is_closed() && target != self.status) {
            return Err(InvalidTransition {
                from: self.status,
                to: target,
            });
        }
        let verb = match action {
            AlertAction::Acknowledge => "acknowledged",
            AlertAction::Investigate => "investigating",
            AlertAction::Resolve(AlertStatus::FalsePositive) => "closed as false positive",
            AlertAction::Resolve(_) => "resolved",
            AlertAction::Assign(_) => "assigned",
            AlertAction::Note => "noted",
        };
        let stays = target == self.status && !matches!(action, AlertAction::Note);
        let same_assignee = matches!(action, AlertAction::Assign(to) if self.assigned_to.as_ref() != Some(to));
        if stays && !same_assignee && notes.is_none() {
            return Ok(false);
        }
        if target > AlertStatus::New && self.acknowledged_at.is_none() {
            self.acknowledged_at = Some(now);
            self.acknowledged_by = Some(analyst.to_owned());
        }
        if let AlertAction::Assign(to) = action {
            self.assigned_to = Some(to.clone());
        }
        if let AlertAction::Resolve(to) = action
            && !self.status.is_closed()
        {
            self.resolved_at = Some(now);
            self.resolved_by = Some(analyst.to_owned());
            self.resolution = Some(*to);
        }
        self.status = target;
        if let Some(text) = notes {
            self.notes.push(Note {
                analyst_id: analyst.to_owned(),
                at: now,
                text: text.to_owned(),
            });
        }
        self.timeline.push(TimelineEntry {
            at: now,
            by: analyst.to_owned(),
            action: verb.to_owned(),
            notes: notes.map(str::to_owned),
        });
        self.version += 1;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(case: &mut AlertCase, action: &AlertAction) -> Result<bool, InvalidTransition> {
        case.apply(action, "ana", None, Timestamp::from_secs(100))
    }

    #[test]
    fn work_moves_forward_only() {
        let mut case = AlertCase::default();
        assert_eq!(apply(&mut case, &AlertAction::Investigate), Ok(true));
        assert_eq!(case.acknowledged_by.as_deref(), Some("ana"));
        assert!(apply(&mut case, &AlertAction::Acknowledge).is_err());
        assert_eq!(
            apply(&mut case, &AlertAction::Resolve(AlertStatus::FalsePositive)),
            Ok(true)
        );
        let error = apply(&mut case, &AlertAction::Resolve(AlertStatus::Resolved)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "an alert that is FALSE_POSITIVE cannot become RESOLVED"
        );
        assert_eq!((case.version, case.resolution), (2, Some(AlertStatus::FalsePositive)));
    }

    #[test]
    fn repeating_an_action_changes_nothing() {
        let mut case = AlertCase::default();
        for expected in [true, false] {
            assert_eq!(apply(&mut case, &AlertAction::Acknowledge), Ok(expected));
        }
        assert_eq!(apply(&mut case, &AlertAction::Assign("bo".into())), Ok(true));
        assert_eq!(apply(&mut case, &AlertAction::Assign("bo".into())), Ok(false));
        assert_eq!((case.version, case.timeline.len()), (2, 2));
    }
}
