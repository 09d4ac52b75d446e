//! The windows of correlations, in event time.
//!
//! **At once.** Where enough happening is all that is asked (lower bounds, sets and orders of rules), time is cut into frames as
//! long as the correlation's timespan. A frame *fires*, once, when some event in it opens a window: when the timespan that
//! begins with that event holds enough. For counts, sums and rules, whether a frame fires depends on the events alone and not on
//! the order in which they came, nor on what other groups do: late, early and repeated reading give the same threats. A burst is
//! found wherever it lies, and one that goes on fires once per timespan. Means and percentiles are those of the timespan that
//! ends with an event, over what has come of it by then.
//!
//! **When over.** An upper bound cannot be decided while more may come. There an event opens a window that is as long as the
//! timespan; the next event beyond it opens another. A window is decided, once, when the same group has an event that lies past
//! its end by a tenth of the timespan, at most five minutes: until then late events count in it. A group that falls silent
//! leaves its last window undecided.

mod frame;
mod order;
mod over;
mod sliding;
mod tally;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use threatstream_domain::{Original, Timestamp};

use crate::found::{Counts, Match, Measure};
use crate::sigma::Condition;
use frame::Frame;
use sliding::Hit;

/// Originals that a window keeps for the threat it may become.
pub(super) const KEPT_ORIGINALS: usize = 20;
/// Frames of one group that are kept. The one that got its last event first goes first, so that last year's file and today's
/// traffic of one address do not push each other out.
const KEPT_FRAMES: usize = 16;

/// The first and the last event of a window, in microseconds since 1970.
pub(super) type Span = (i64, i64);

/// An event that goes into a window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Contribution {
    pub counts: Counts,
    pub condition: Condition,
    /// The length of a window in microseconds, at least 1.
    pub timespan: i64,
    /// When it happened, in microseconds since 1970.
    pub at: i64,
    /// What stands for chance where not all can be kept.
    pub print: u64,
    /// The rule that matched it.
    pub rule: String,
    pub original: Original,
    /// The match as it came, where the window is decided by an event that is none of its own.
    pub whole: Option<Box<Match>>,
}

/// What a contribution did.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Contributed {
    /// The windows that it completed, each with the events behind it.
    pub fired: Vec<Fired>,
    /// It fell into a window that had fired before.
    pub into_fired: bool,
}

/// A window that fired.
#[derive(Debug, PartialEq)]
pub(super) struct Fired {
    /// What tells it from others of its group: event time divided by the timespan, or when it opened.
    pub place: i64,
    /// Events in it.
    pub events: u64,
    pub span: Span,
    /// What was compared with the bounds: a count, a sum, a mean, a percentile.
    pub measure: f64,
    /// The rules whose matches are in it, in the order of their ids.
    pub rules: Vec<String>,
    /// The last originals, oldest first.
    pub originals: Vec<Original>,
    /// The latest of its matches; `None`: the one that completed it.
    pub latest: Option<Box<Match>>,
}

/// The windows of one correlation and one group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct GroupWindows {
    /// In the order of time.
    frames: Vec<Frame>,
    /// Counts contributions.
    contributions: u64,
}

impl GroupWindows {
    /// About how much memory the windows take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.frames.iter().map(Frame::bytes).sum()
    }

    /// Makes what was read from a store whole.
    pub(super) fn restore(&mut self) {
        self.frames.sort_by_key(|frame| frame.place);
        self.frames.iter_mut().for_each(Frame::weigh);
    }

    /// Adds an event.
    pub(super) fn contribute(&mut self, event: &Contribution) -> Contributed {
        self.contributions = self.contributions.saturating_add(1);
        let contributed = if event.condition.is_decided_at_once() {
            self.at_once(event)
        } else {
            self.when_over(event)
        };
        if self.frames.len() > KEPT_FRAMES {
            let stalest = (0..self.frames.len()).min_by_key(|index| self.frames[*index].touched);
            stalest.map(|index| self.frames.remove(index));
        }
        contributed
    }

    fn at_once(&mut self, event: &Contribution) -> Contributed {
        let place = event.at.div_euclid(event.timespan.max(1));
        let index = match self.frames.binary_search_by_key(&place, |frame| frame.place) {
            Ok(index) => index,
            Err(index) => {
                self.frames.insert(index, Frame::new(place, place));
                index
            }
        };
        let frame = &mut self.frames[index];
        frame.touched = self.contributions;
        let into_fired = frame.fired;
        frame.add(event, true);
        let is_trailing = matches!(
            event.counts,
            Counts::Number {
                measure: Measure::Average | Measure::Percentile(_),
                ..
            }
        );
        let fired = if is_trailing {
            self.trailing(place, event).into_iter().collect()
        } else {
            // An event can complete the frame it lies in and the one before, whose windows reach into its own.
            let openers = [place.saturating_sub(1), place];
            openers
                .into_iter()
                .filter_map(|opener| self.opened(opener, event))
                .collect()
        };
        Contributed { fired, into_fired }
    }

    fn find(&self, place: i64) -> Option<&Frame> {
        let index = self.frames.binary_search_by_key(&place, |frame| frame.place).ok()?;
        self.frames.get(index)
    }

    fn opened(&mut self, place: i64, event: &Contribution) -> Option<Fired> {
        let frame = self.find(place).filter(|frame| !frame.fired)?;
        let next = place.checked_add(1).and_then(|next| self.find(next));
        let hit = sliding::opened(frame, next, event)?;
        Some(self.fire(place, &hit))
    }

    fn trailing(&mut self, place: i64, event: &Contribution) -> Option<Fired> {
        let around = [place.checked_sub(1), Some(place), place.checked_add(1)];
        let frames: Vec<&Frame> = around
            .into_iter()
            .flatten()
            .filter_map(|place| self.find(place))
            .collect();
        let hit = sliding::trailing(&frames, event)?;
        let opener = hit.span.0.div_euclid(event.timespan.max(1));
        self.find(opener).filter(|frame| !frame.fired)?;
        Some(self.fire(opener, &hit))
    }

    fn fire(&mut self, place: i64, hit: &Hit) -> Fired {
        let (mut originals, mut rules): (Vec<Original>, Vec<String>) = (Vec::new(), Vec::new());
        for frame in [Some(place), place.checked_add(1)].into_iter().flatten() {
            let Some(frame) = self.find(frame) else { continue };
            let within = |original: &&Original| {
                let at = original.timestamp.as_micros();
                at >= hit.span.0 && at <= hit.span.1
            };
            originals.extend(frame.originals.iter().filter(within).cloned());
            for rule in &frame.rules {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
        rules.sort_unstable();
        originals.sort_by_key(|original| original.timestamp);
        originals.drain(..originals.len().saturating_sub(KEPT_ORIGINALS));
        if let Some(frame) = self.frames.iter_mut().find(|frame| frame.place == place) {
            frame.fire();
        }
        Fired {
            place,
            events: hit.events,
            span: hit.span,
            measure: hit.measure,
            rules,
            originals,
            latest: None,
        }
    }
}

impl Contribution {
    /// Brings what a damaged delta may hold back into bounds: a time within the calendar, so that no frame is the last number
    /// there is, and a timespan that is one.
    pub(super) fn bounded(&self) -> Cow<'_, Self> {
        let at = Timestamp::from_micros(self.at).as_micros();
        if at == self.at && self.timespan >= 1 {
            return Cow::Borrowed(self);
        }
        let mut own = self.clone();
        (own.at, own.timespan) = (at, self.timespan.max(1));
        Cow::Owned(own)
    }
}

#[cfg(test)]
mod tests;
