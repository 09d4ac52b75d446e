//! One stretch of time of a group, and what is remembered of it.

use serde::{Deserialize, Serialize};
use threatstream_domain::{Original, truncated};

use super::tally::Tally;
use super::{Contribution, KEPT_ORIGINALS};
use crate::found::Match;
use crate::judge::weigh;

/// Originals in a window are kept up to this many bytes.
const WINDOW_ORIGINAL_BYTES: usize = 1024;
/// Rules that a threat names as those that made it.
const KEPT_RULES: usize = 64;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Frame {
    /// Its place in time: the number of the frame, or when the window opened.
    pub(super) place: i64,
    /// The first moment after it, where it is a window of its own.
    pub(super) end: i64,
    pub(super) fired: bool,
    /// It was decided, and what still comes is too late.
    pub(super) over: bool,
    /// The group's contribution that touched it last.
    pub(super) touched: u64,
    /// Events seen.
    pub(super) events: u64,
    pub(super) tally: Tally,
    /// The rules whose matches it has, in the order of their coming.
    pub(super) rules: Vec<String>,
    pub(super) originals: Vec<Original>,
    /// The latest of its matches, where the event that decides it is none of its own.
    pub(super) latest: Option<Box<Match>>,
    /// About how much memory it takes; it follows from the rest, and is not saved.
    #[serde(skip)]
    bytes: usize,
}

impl Frame {
    pub(super) fn new(place: i64, end: i64) -> Self {
        Self {
            place,
            end,
            ..Self::default()
        }
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn weigh(&mut self) {
        let originals: usize = self
            .originals
            .iter()
            .map(|original| 128 + original.raw.len() + original.event_id.len())
            .sum();
        let rules: usize = self.rules.iter().map(|rule| 24 + rule.len()).sum();
        let latest = self.latest.as_ref().map_or(0, weigh::json);
        self.bytes = size_of::<Self>() + originals + rules + latest + self.tally.bytes();
    }

    pub(super) fn add(&mut self, event: &Contribution, at_once: bool) {
        self.events = self.events.saturating_add(1);
        self.tally.add(event, at_once);
        if self.rules.len() < KEPT_RULES && !self.rules.contains(&event.rule) {
            self.rules.push(event.rule.clone());
        }
        if !self.fired {
            if self.originals.len() >= KEPT_ORIGINALS {
                self.originals.remove(0);
            }
            self.originals.push(cut(&event.original));
        }
        if let Some(whole) = &event.whole {
            let is_later = |latest: &Match| latest.event.timestamp <= whole.event.timestamp;
            if self.latest.as_ref().is_none_or(|latest| is_later(latest)) {
                let mut latest = whole.clone();
                let bytes = truncated(&latest.event.raw, WINDOW_ORIGINAL_BYTES).len();
                latest.event.truncated |= bytes < latest.event.raw.len();
                latest.event.raw.truncate(bytes);
                self.latest = Some(latest);
            }
        }
        self.weigh();
    }

    /// It fired: what it has of events went into the threat.
    pub(super) fn fire(&mut self) {
        self.fired = true;
        self.originals = Vec::new();
        self.weigh();
    }

    /// It is decided: nothing that is still to come matters.
    pub(super) fn close(&mut self) {
        self.over = true;
        self.tally = Tally::default();
        self.originals = Vec::new();
        self.rules = Vec::new();
        self.latest = None;
        self.weigh();
    }
}

fn cut(original: &Original) -> Original {
    let bytes = truncated(&original.raw, WINDOW_ORIGINAL_BYTES).len();
    Original {
        event_id: original.event_id.clone(),
        timestamp: original.timestamp,
        format: original.format.clone(),
        raw: original.raw[..bytes].to_owned(),
        truncated: original.truncated || bytes < original.raw.len(),
    }
}
