//! The two parts of an alert as JSON, each within its share of a document.

use threatstream_backend::BackendError;
use threatstream_domain::{AlertCase, AlertGroup, truncated};

use crate::documents::unwritable;
use crate::error::rejected;

/// What the analyzer's part may take of a document.
const MAX_GROUP_BYTES: usize = 500 * 1024;

/// What the analysts' part may take. A case that keeps its own limits is below, unless most of its text needs escapes.
const MAX_CASE_BYTES: usize = 400 * 1024;

/// Kept free of words, so that an alert can always be moved forward and closed.
const ROOM_FOR_STEPS: usize = 10 * 1024;

/// Tried one after the other on a group that is too large: how many items a list keeps, and how many bytes a text.
const CUTS: [(usize, usize); 3] = [(100, 1024), (50, 512), (20, 256)];

/// The analyzer's part as JSON. One that would not fit has its texts and lists cut.
pub(crate) fn group_json(group: &AlertGroup) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = serde_json::to_vec(group)?;
    for (items, bytes) in CUTS {
        if json.len() <= MAX_GROUP_BYTES {
            break;
        }
        let mut smaller = group.clone();
        for text in [&mut smaller.title, &mut smaller.description] {
            *text = truncated(text, bytes).to_owned();
        }
        for list in [
            &mut smaller.threat_ids,
            &mut smaller.source_ips,
            &mut smaller.affected_systems,
            &mut smaller.mitre_attack_ids,
        ] {
            // The newest come last.
            list.drain(..list.len().saturating_sub(items));
            for text in list {
                *text = truncated(text, bytes).to_owned();
            }
        }
        json = serde_json::to_vec(&smaller)?;
    }
    Ok(json)
}

/// The analysts' part as JSON.
///
/// # Errors
/// `Rejected` when it is too large: nobody's words are cut.
pub(crate) fn case_json(case: &AlertCase) -> Result<Vec<u8>, BackendError> {
    let json = serde_json::to_vec(case).map_err(unwritable)?;
    let says_something = case.timeline.last().is_some_and(|entry| entry.notes.is_some());
    let room = if says_something { ROOM_FOR_STEPS } else { 0 };
    if json.len() + room > MAX_CASE_BYTES {
        return Err(rejected(format!("a case of {} bytes is too large", json.len())));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use threatstream_backend::conformance::samples::{alert, noon};
    use threatstream_domain::AlertAction;

    use super::*;

    #[test]
    fn a_group_of_any_size_fits_and_a_usual_one_is_not_touched() {
        let usual = alert("ALT-1");
        let json = group_json(&usual).unwrap();
        assert_eq!(serde_json::from_slice::<AlertGroup>(&json).unwrap(), usual);
        let mut huge = usual;
        huge.description = "\u{1}".repeat(1 << 20);
        huge.affected_systems = (0..5_000).map(|at| format!("{at}{}", "\u{2}".repeat(4096))).collect();
        huge.threat_ids = (0..100_000).map(|at| format!("THR-{at}")).collect();
        let json = group_json(&huge).unwrap();
        assert!(json.len() <= MAX_GROUP_BYTES, "{}", json.len());
        let stored: AlertGroup = serde_json::from_slice(&json).unwrap();
        assert_eq!(stored.threat_ids.last(), huge.threat_ids.last());
        assert_eq!((stored.id, stored.event_count), (huge.id, huge.event_count));
    }

    #[test]
    fn a_case_that_is_full_fits_and_one_beyond_is_refused() {
        let mut case = AlertCase::default();
        let note = "\u{e9}".repeat(2048);
        while case.apply(&AlertAction::Note, "ana", Some(&note), noon()).is_ok() {}
        case_json(&case).unwrap();
        case.assigned_to = Some("x".repeat(MAX_CASE_BYTES));
        assert!(matches!(case_json(&case), Err(BackendError::Rejected { .. })));
    }

    #[test]
    fn an_alert_full_of_escapes_can_still_be_closed() {
        let mut case = AlertCase::default();
        let note = "\u{1}".repeat(4096);
        loop {
            let mut more = case.clone();
            more.apply(&AlertAction::Note, "ana", Some(&note), noon()).unwrap();
            if case_json(&more).is_err() {
                break;
            }
            case = more;
        }
        assert!(!case.notes.is_empty());
        let closing = AlertAction::Resolve(threatstream_domain::AlertStatus::Resolved);
        case.apply(&closing, "ana", None, noon()).unwrap();
        case_json(&case).unwrap();
    }
}
