//! What analysts do about an alert: the steps, and the record of them.

use serde::{Deserialize, Serialize};

use super::AlertStatus;
use crate::{Timestamp, truncated};

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
    /// With what remark; how it begins, in at most 200 bytes. The whole text is among the notes.
    pub notes: Option<String>,
}

/// What analysts write of an alert. `version` counts their changes.
///
/// Whoever watches alerts is sent all of it, so that it is bounded: see [`AlertCase::MAX_ENTRIES`] and [`AlertCase::MAX_TEXT_BYTES`].
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

/// Why a step does not fit an alert. The same step again is refused again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTransition {
    /// The status only moves forward.
    #[error("an alert that is {from} cannot become {to}")]
    Backwards {
        /// What it is.
        from: AlertStatus,
        /// What it was to become.
        to: AlertStatus,
    },
    /// The remark is longer than [`AlertCase::MAX_NOTE_BYTES`].
    #[error("a note of {bytes} bytes is too long; {max} are allowed", max = AlertCase::MAX_NOTE_BYTES)]
    NoteTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// No more remarks and no more assignments: there is room only for steps that move the status forward without a remark.
    #[error("the alert's notes are full; without a note it can still be moved forward")]
    NotesFull,
}

impl AlertCase {
    /// The longest remark, in bytes.
    pub const MAX_NOTE_BYTES: usize = 4 * 1024;
    /// The most notes, and the most entries of the timeline.
    pub const MAX_ENTRIES: usize = 500;
    /// The most text in notes and timeline together, names included, in bytes.
    pub const MAX_TEXT_BYTES: usize = 256 * 1024;
    /// What the timeline shows of a remark, in bytes.
    const MAX_SHOWN_BYTES: usize = 200;
    /// An alert has three steps forward in its life. They have places of their own, because an alert that nobody could close would stay
    /// open for good.
    const STEPS_FORWARD: usize = 3;

    /// Applies an action. Repeating what already holds changes nothing and succeeds (`Ok(false)`).
    ///
    /// # Errors
    /// [`InvalidTransition`] for a step backwards, for any step of a closed alert but a note, and for what there is no room for. The case
    /// is then as it was.
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
            return Err(InvalidTransition::Backwards {
                from: self.status,
                to: target,
            });
        }
        if let Some(text) = notes.filter(|text| text.len() > Self::MAX_NOTE_BYTES) {
            return Err(InvalidTransition::NoteTooLong { bytes: text.len() });
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
        let other_assignee = matches!(action, AlertAction::Assign(to) if self.assigned_to.as_ref() != Some(to));
        if stays && !other_assignee && notes.is_none() {
            return Ok(false);
        }
        let note = notes.map(|text| Note {
            analyst_id: analyst.to_owned(),
            at: now,
            text: text.to_owned(),
        });
        let entry = TimelineEntry {
            at: now,
            by: analyst.to_owned(),
            action: verb.to_owned(),
            notes: notes.map(shown),
        };
        if (target == self.status || note.is_some()) && !self.has_room(note.as_ref(), &entry) {
            return Err(InvalidTransition::NotesFull);
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
        self.notes.extend(note);
        self.timeline.push(entry);
        self.version += 1;
        Ok(true)
    }

    /// Whether a note and an entry still fit, with the places of the steps forward left free.
    fn has_room(&self, note: Option<&Note>, entry: &TimelineEntry) -> bool {
        let notes = self.notes.iter().chain(note).map(Note::bytes);
        let timeline = self.timeline.iter().chain([entry]).map(TimelineEntry::bytes);
        self.timeline.len() + Self::STEPS_FORWARD < Self::MAX_ENTRIES
            && notes.chain(timeline).sum::<usize>() <= Self::MAX_TEXT_BYTES
    }
}

impl Note {
    fn bytes(&self) -> usize {
        self.analyst_id.len() + self.text.len()
    }
}

impl TimelineEntry {
    fn bytes(&self) -> usize {
        self.by.len() + self.action.len() + self.notes.as_ref().map_or(0, String::len)
    }
}

/// How a remark begins, for the timeline.
fn shown(text: &str) -> String {
    const CUT: &str = "…";
    if text.len() <= AlertCase::MAX_SHOWN_BYTES {
        return text.to_owned();
    }
    format!("{}{CUT}", truncated(text, AlertCase::MAX_SHOWN_BYTES - CUT.len()))
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

    #[test]
    fn what_there_is_no_room_for_is_refused_and_an_alert_can_still_be_closed() {
        let step = |case: &mut AlertCase, action: &AlertAction, note: Option<&str>| {
            case.apply(action, "ana", note, Timestamp::from_secs(100))
        };
        for (note, at_most) in [("n", AlertCase::MAX_ENTRIES), (&*"é".repeat(2048), 64)] {
            let mut case = AlertCase::default();
            while step(&mut case, &AlertAction::Note, Some(note)).is_ok() {
                assert!(case.notes.len() <= at_most, "notes are without bounds");
            }
            assert!(case.notes.len() + 5 > at_most, "{}", case.notes.len());
            let before = case.clone();
            let full = Err(InvalidTransition::NotesFull);
            assert_eq!(step(&mut case, &AlertAction::Note, Some(note)), full);
            assert_eq!(step(&mut case, &AlertAction::Acknowledge, Some(note)), full);
            assert_eq!(case, before);
            for action in [
                AlertAction::Acknowledge,
                AlertAction::Investigate,
                AlertAction::Resolve(AlertStatus::Resolved),
            ] {
                assert_eq!(step(&mut case, &action, None), Ok(true));
            }
            assert!(step(&mut case, &AlertAction::Acknowledge, None).is_err());
            assert!(case.timeline.len() <= AlertCase::MAX_ENTRIES);
            let json = serde_json::to_string(&case).unwrap();
            assert!(json.len() < 300 * 1024, "{}", json.len());
        }
    }

    #[test]
    fn assignments_to_and_fro_end_too() {
        let mut case = AlertCase::default();
        let mut names = ["bo", "cy"].into_iter().cycle();
        while apply(&mut case, &AlertAction::Assign(names.next().unwrap().into())).is_ok() {
            assert!(case.timeline.len() <= AlertCase::MAX_ENTRIES);
        }
        assert_eq!(apply(&mut case, &AlertAction::Resolve(AlertStatus::Resolved)), Ok(true));
    }

    #[test]
    fn a_long_note_is_refused_and_a_remark_is_kept_whole_once() {
        let mut case = AlertCase::default();
        let long = "é".repeat(2049);
        let refused = case.apply(&AlertAction::Note, "ana", Some(&long), Timestamp::EPOCH);
        assert_eq!(refused, Err(InvalidTransition::NoteTooLong { bytes: 4098 }));
        assert_eq!(case, AlertCase::default());
        for (note, begins) in [
            ("é".repeat(2048), format!("{}…", "é".repeat(98))),
            ("é".repeat(100), "é".repeat(100)),
        ] {
            let mut case = AlertCase::default();
            assert_eq!(
                case.apply(&AlertAction::Acknowledge, "ana", Some(&note), Timestamp::EPOCH),
                Ok(true)
            );
            assert_eq!(
                (&case.notes[0].text, case.timeline[0].notes.as_ref()),
                (&note, Some(&begins))
            );
        }
    }
}
