//! From a window that fired to the correlations that count it.
//!
//! Their windows may be another partition's: what fired becomes a match of its own, which goes through the log. It is known by the
//! window that fired, so that judging the same records again makes the same match, and whoever counts it counts it once.

use threatstream_domain::Timestamp;

use super::windows::Fired;
use crate::found::{Match, Window, digest};

/// The matches of those that count it. Each is about the event that completed the window, and happened when the last event of the
/// window did.
pub(super) fn matches(found: &Match, window: &Window, fired: &Fired) -> Vec<Match> {
    let feeds = window.feeds.iter();
    let all = feeds.map(|feed| {
        let mut event = found.event.clone();
        event.timestamp = Timestamp::from_micros(fired.span.1).min(event.received_at);
        let key = found.key();
        let print = digest(&["fired", &key, &window.shape(), &fired.place.to_string()]);
        let mut evidence = window.group.clone();
        evidence.push((window.counts.label(), fired.measure.to_string()));
        Match {
            fingerprint: format!("{print:032x}"),
            event,
            rule_id: found.verdict.id.clone(),
            verdict: feed.verdict.clone(),
            evidence,
            window: Some(feed.window.clone()),
            entity: feed.entity.clone(),
            simulation_id: found.simulation_id.clone(),
            rules_hash: found.rules_hash.clone(),
        }
    });
    all.collect()
}
