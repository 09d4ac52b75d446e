//! The windows of correlations, in event time.
//!
//! Time is cut into frames as long as the correlation's timespan. A frame *fires*, once, when some event in it opens a window:
//! when the timespan that begins with that event holds enough events (or different values). Whether a frame fires depends on
//! the events alone and not on the order in which they came, nor on what other groups do: late, early and repeated reading give
//! the same threats. A burst is found wherever it lies, and one that goes on fires once per timespan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use threatstream_domain::{Original, Timestamp};

use crate::found::Counts;

/// Originals that a window keeps for the threat it may become.
pub(super) const KEPT_ORIGINALS: usize = 20;
/// Frames of one group that are kept. The one that got its last event first goes first, so that last year's file and today's
/// traffic of one address do not push each other out.
const KEPT_FRAMES: usize = 16;
/// Originals in a window are kept up to this many bytes.
const WINDOW_ORIGINAL_BYTES: usize = 1024;

/// What a contribution did.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Contributed {
    /// The frames that it completed, by number, each with the events behind it.
    pub fired: Vec<Fired>,
    /// It fell into a frame that had fired before.
    pub into_fired: bool,
}

/// A frame that fired.
#[derive(Debug, PartialEq)]
pub(super) struct Fired {
    /// Its number: event time divided by the timespan.
    pub frame: i64,
    /// Events in the window that fired.
    pub events: u64,
    /// The window's first and last event, in microseconds since 1970.
    pub span: (i64, i64),
    /// The last originals, oldest first.
    pub originals: Vec<Original>,
}

/// The windows of one correlation and one group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct GroupWindows {
    frames: BTreeMap<i64, FrameState>,
    /// Counts contributions.
    contributions: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct FrameState {
    fired: bool,
    /// The group's contribution that touched it last.
    touched: u64,
    /// For events: the earliest times, sorted; more than decide anything are not kept.
    times: Vec<i64>,
    /// For values: the earliest time of each, and the latest; likewise.
    values: BTreeMap<String, (i64, i64)>,
    /// Events seen.
    events: u64,
    originals: Vec<Original>,
    /// About how much memory the frame takes; it follows from the rest, and is not saved.
    #[serde(skip)]
    bytes: usize,
}

impl GroupWindows {
    /// About how much memory the windows take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.frames.values().map(|frame| frame.bytes).sum()
    }

    /// Weighs what was read from a store.
    pub(super) fn weigh(&mut self) {
        self.frames.values_mut().for_each(FrameState::weigh);
    }

    /// Adds an event at a time (microseconds since 1970). `timespan` is in microseconds; both it and `threshold` are at least 1.
    pub(super) fn contribute(
        &mut self,
        counts: &Counts,
        at: i64,
        timespan: i64,
        threshold: u64,
        original: &Original,
    ) -> Contributed {
        // A time outside the calendar can only come from a damaged delta; within it, no frame is the last number there is.
        let at = Timestamp::from_micros(at).as_micros();
        let timespan = timespan.max(1);
        let threshold = usize::try_from(threshold.max(1)).unwrap_or(usize::MAX);
        let frame = at.div_euclid(timespan);
        self.contributions = self.contributions.saturating_add(1);
        let state = self.frames.entry(frame).or_default();
        state.touched = self.contributions;
        let into_fired = state.fired;
        state.add(counts, at, threshold, original);
        // An event can complete the frame it lies in and the one before, whose windows reach into its own.
        let fired = [frame - 1, frame]
            .into_iter()
            .filter_map(|opener| self.fire(opener, counts, timespan, threshold))
            .collect();
        while self.frames.len() > KEPT_FRAMES {
            let stalest = self
                .frames
                .iter()
                .min_by_key(|(_, state)| state.touched)
                .map(|(frame, _)| *frame);
            stalest.and_then(|frame| self.frames.remove(&frame));
        }
        Contributed { fired, into_fired }
    }

    fn fire(&mut self, opener: i64, counts: &Counts, timespan: i64, threshold: usize) -> Option<Fired> {
        let state = self.frames.get(&opener)?;
        if state.fired {
            return None;
        }
        let empty = FrameState::default();
        let next = self.frames.get(&(opener + 1)).unwrap_or(&empty);
        let (span, events) = match counts {
            Counts::Events => events_window(state, next, timespan, threshold)?,
            Counts::Values { .. } => values_window(state, next, timespan, threshold)?,
        };
        let mut originals = state.originals.clone();
        originals.extend(
            next.originals
                .iter()
                .filter(|o| o.timestamp.as_micros() <= span.1)
                .cloned(),
        );
        originals.sort_by_key(|original| original.timestamp);
        originals.drain(..originals.len().saturating_sub(KEPT_ORIGINALS));
        if let Some(state) = self.frames.get_mut(&opener) {
            state.fired = true;
            state.originals = Vec::new();
            state.weigh();
        }
        Some(Fired {
            frame: opener,
            events,
            span,
            originals,
        })
    }
}

/// The first window of `threshold` events that opens in the frame.
fn events_window(state: &FrameState, next: &FrameState, timespan: i64, threshold: usize) -> Option<((i64, i64), u64)> {
    let time = |at: usize| {
        state
            .times
            .get(at)
            .or_else(|| next.times.get(at - state.times.len()))
            .copied()
    };
    (0..state.times.len()).find_map(|first| {
        let (from, to) = (time(first)?, time(first.checked_add(threshold - 1)?)?);
        (to.saturating_sub(from) < timespan).then_some(((from, to), threshold as u64))
    })
}

/// The first window of `threshold` different values that opens in the frame.
fn values_window(state: &FrameState, next: &FrameState, timespan: i64, threshold: usize) -> Option<((i64, i64), u64)> {
    let mut openers: Vec<i64> = state
        .values
        .values()
        .flat_map(|(earliest, latest)| [*earliest, *latest])
        .collect();
    openers.sort_unstable();
    openers.into_iter().find_map(|from| {
        let mut seen: BTreeMap<&str, i64> = BTreeMap::new();
        for (value, (earliest, latest)) in &state.values {
            if *latest >= from {
                seen.insert(value, (*earliest).max(from));
            }
        }
        for (value, (earliest, _)) in &next.values {
            if earliest.saturating_sub(from) < timespan {
                seen.entry(value).or_insert(*earliest);
            }
        }
        let to = seen.values().copied().max()?;
        (seen.len() >= threshold).then_some(((from, to), state.events.saturating_add(next.events)))
    })
}

impl FrameState {
    fn weigh(&mut self) {
        let originals: usize = self
            .originals
            .iter()
            .map(|original| 128 + original.raw.len() + original.event_id.len())
            .sum();
        let values: usize = self.values.keys().map(|value| 64 + value.len()).sum();
        self.bytes = 128 + originals + values + self.times.len() * size_of::<i64>();
    }

    fn add(&mut self, counts: &Counts, at: i64, threshold: usize, original: &Original) {
        self.events = self.events.saturating_add(1);
        match counts {
            Counts::Events => {
                let place = self.times.partition_point(|time| *time <= at);
                self.times.insert(place, at);
                // A frame that has not fired holds fewer than the threshold; of one that has, the first so many can still
                // complete the frame before.
                self.times.truncate(threshold);
            }
            Counts::Values { value, .. } => {
                let times = self.values.entry(value.clone()).or_insert((at, at));
                *times = (times.0.min(at), times.1.max(at));
                if self.values.len() > threshold
                    && let Some(last) = self
                        .values
                        .iter()
                        .max_by_key(|(value, (earliest, _))| (*earliest, *value))
                {
                    let last = last.0.clone();
                    self.values.remove(&last);
                }
            }
        }
        if !self.fired {
            let mut original = original.clone();
            let cut = threatstream_domain::truncated(&original.raw, WINDOW_ORIGINAL_BYTES).len();
            original.truncated |= cut < original.raw.len();
            original.raw.truncate(cut);
            if self.originals.len() == KEPT_ORIGINALS {
                self.originals.remove(0);
            }
            self.originals.push(original);
        }
        self.weigh();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn original(at: i64) -> Original {
        Original {
            event_id: format!("e{at}"),
            timestamp: Timestamp::from_micros(at),
            format: "text".into(),
            raw: "line".into(),
            truncated: false,
        }
    }

    fn fired_events(times: &[i64], timespan: i64, threshold: u64) -> Vec<i64> {
        let mut windows = GroupWindows::default();
        let mut fired: Vec<i64> = times
            .iter()
            .flat_map(|at| {
                windows
                    .contribute(&Counts::Events, *at, timespan, threshold, &original(*at))
                    .fired
            })
            .map(|fired| fired.frame)
            .collect();
        fired.sort_unstable();
        fired
    }

    fn fired_values(events: &[(i64, u8)], timespan: i64, threshold: u64) -> Vec<i64> {
        let mut windows = GroupWindows::default();
        let mut fired: Vec<i64> = events
            .iter()
            .flat_map(|(at, value)| {
                let counts = Counts::Values {
                    field: "user.name".into(),
                    value: value.to_string(),
                };
                windows
                    .contribute(&counts, *at, timespan, threshold, &original(*at))
                    .fired
            })
            .map(|fired| fired.frame)
            .collect();
        fired.sort_unstable();
        fired
    }

    #[test]
    fn a_burst_is_found_across_a_border_and_fires_once() {
        assert_eq!(fired_events(&[55, 58, 61, 64, 66], 60, 5), [0]);
        assert_eq!(fired_events(&[1, 2, 3, 4], 60, 5), [] as [i64; 0]);
        assert_eq!(
            fired_events(&[0, 15, 30, 45, 60], 60, 5),
            [] as [i64; 0],
            "the fifth is one too late"
        );
        assert_eq!(fired_events(&[0, 15, 30, 45, 59], 60, 5), [0]);
    }

    #[test]
    fn a_threshold_beyond_all_counts_never_fires() {
        assert_eq!(fired_events(&[1, 2, 3, 4], 60, u64::MAX), [] as [i64; 0]);
        assert_eq!(fired_events(&[i64::MIN, i64::MAX], 1, 2), [] as [i64; 0]);
    }

    #[test]
    fn what_goes_on_fires_once_per_timespan() {
        let times: Vec<i64> = (0..300).collect();
        assert_eq!(fired_events(&times, 60, 5), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_window_keeps_its_last_originals() {
        let mut windows = GroupWindows::default();
        let fired: Vec<Fired> = (0..50)
            .flat_map(|at| windows.contribute(&Counts::Events, at, 60, 50, &original(at)).fired)
            .collect();
        assert_eq!(fired.len(), 1);
        assert_eq!(
            (fired[0].events, fired[0].span, fired[0].originals.len()),
            (50, (0, 49), 20)
        );
        assert_eq!(fired[0].originals[19].event_id, "e49");
    }

    #[test]
    fn last_year_and_today_do_not_disturb_each_other() {
        let today = 1_000_000_000;
        let times = (0..40).flat_map(|at| [today + at * 60, today + at * 60 + 1, at * 60, at * 60 + 1]);
        let fired = fired_events(&times.collect::<Vec<_>>(), 60, 2);
        assert_eq!(fired.len(), 80);
    }

    #[test]
    fn repeated_values_count_once() {
        assert_eq!(fired_values(&[(0, 1), (1, 1), (2, 1), (3, 2)], 60, 3), [] as [i64; 0]);
        assert_eq!(
            fired_values(&[(0, 1), (1, 1), (59, 2), (61, 3), (62, 3)], 60, 3),
            [] as [i64; 0]
        );
        assert_eq!(fired_values(&[(0, 1), (30, 1), (59, 2), (61, 3)], 60, 3), [0]);
    }

    /// By the definition, with all events at hand.
    fn reference(events: &[(i64, u8)], timespan: i64, enough: impl Fn(&[(i64, u8)]) -> bool) -> Vec<i64> {
        let mut frames: Vec<i64> = events
            .iter()
            .filter(|(from, _)| {
                let within: Vec<(i64, u8)> = events
                    .iter()
                    .filter(|(at, _)| (0..timespan).contains(&(at - from)))
                    .copied()
                    .collect();
                enough(&within)
            })
            .map(|(from, _)| from.div_euclid(timespan))
            .collect();
        frames.sort_unstable();
        frames.dedup();
        frames
    }

    fn events() -> impl Strategy<Value = Vec<(i64, u8)>> {
        prop::collection::vec((0i64..240, 0u8..6), 1..60).prop_shuffle()
    }

    proptest! {
        #[test]
        fn any_order_gives_what_the_definition_says(events in events(), threshold in 1u64..8) {
            let times: Vec<i64> = events.iter().map(|(at, _)| *at).collect();
            let expected = reference(&events, 60, |within| within.len() as u64 >= threshold);
            prop_assert_eq!(fired_events(&times, 60, threshold), expected);
        }

        #[test]
        fn distinct_values_never_fire_wrongly(events in events(), threshold in 2u64..6) {
            let expected = reference(&events, 60, |within| {
                let mut values: Vec<u8> = within.iter().map(|(_, value)| *value).collect();
                values.sort_unstable();
                values.dedup();
                values.len() as u64 >= threshold
            });
            let fired = fired_values(&events, 60, threshold);
            prop_assert_eq!(fired, expected);
        }
    }
}
