//! What a window remembers of its events: no more than decides something, however many they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Contribution;
use crate::found::{Counts, Measure};
use crate::sigma::Condition;

/// So many points in time are told apart; more are brought together in slices of the timespan.
const MAX_POINTS: usize = 1024;
const SLICES: i64 = 512;
/// So many times of one rule are told apart; of more, the first and the last of each slice are kept.
const MAX_TIMES: usize = 128;
const TIME_SLICES: i64 = 32;
/// Numbers of which a percentile is taken; of more, a sample of this size is kept, by the fingerprints of their events.
const MAX_NUMBERS: usize = 1024;

/// Events of one time, or of one slice of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) count: u64,
    pub(super) sum: f64,
}

/// A number, when it was, and what decides whether it is in the sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Number {
    pub(super) at: i64,
    pub(super) value: f64,
    print: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Tally {
    /// In the order of time: for counts of events, sums and means.
    Points(Vec<Point>),
    /// The earliest time of each value, and the latest.
    Values(BTreeMap<String, (i64, i64)>),
    /// For each rule its times, in order; the first and the last where their order does not matter.
    Times(Vec<Vec<i64>>),
    /// In the order of time: for percentiles.
    Numbers(Vec<Number>),
}

impl Default for Tally {
    fn default() -> Self {
        Self::Points(Vec::new())
    }
}

impl Tally {
    fn of(counts: &Counts) -> Self {
        match counts {
            Counts::Event => Self::Points(Vec::new()),
            Counts::Number { measure, .. } => match measure {
                Measure::Sum | Measure::Average => Self::Points(Vec::new()),
                Measure::Percentile(_) => Self::Numbers(Vec::new()),
            },
            Counts::Value { .. } => Self::Values(BTreeMap::new()),
            Counts::Rule { steps, .. } => Self::Times(vec![Vec::new(); usize::from(*steps).clamp(1, 64)]),
        }
    }

    /// Adds an event. `at_once`: every point in time may be the beginning of a window; otherwise it is all one window.
    pub(super) fn add(&mut self, event: &Contribution, at_once: bool) {
        let empty = Self::of(&event.counts);
        // An empty tally takes any shape; a damaged one is begun again.
        if std::mem::discriminant(self) != std::mem::discriminant(&empty) || self.is_empty() {
            *self = empty;
        }
        match (self, &event.counts) {
            (Self::Points(points), counts) => {
                let sum = if let Counts::Number { value, .. } = counts {
                    *value
                } else {
                    0.0
                };
                let point = Point {
                    first: event.at,
                    last: event.at,
                    count: 1,
                    sum,
                };
                if at_once {
                    let is_count = matches!(counts, Counts::Event);
                    add_point(points, point, event.timespan, is_count.then(|| event.condition.least()));
                } else {
                    match points.first_mut() {
                        Some(all) => all.join(&point),
                        None => points.push(point),
                    }
                }
            }
            (Self::Values(values), Counts::Value { value, .. }) => {
                let enough = if at_once {
                    event.condition.least()
                } else {
                    event.condition.enough()
                };
                add_value(values, value, event.at, enough);
            }
            (Self::Times(times), Counts::Rule { step, ordered, .. }) => {
                if let Some(times) = times.get_mut(usize::from(*step)) {
                    add_time(times, event.at, event.timespan, *ordered);
                }
            }
            (Self::Numbers(numbers), Counts::Number { value, .. }) => {
                add_number(
                    numbers,
                    Number {
                        at: event.at,
                        value: *value,
                        print: event.print,
                    },
                );
            }
            // No other pairs: the tally was made for these counts.
            (Self::Values(_) | Self::Times(_) | Self::Numbers(_), _) => {}
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Points(points) => points.is_empty(),
            Self::Values(values) => values.is_empty(),
            Self::Times(times) => times.iter().all(Vec::is_empty),
            Self::Numbers(numbers) => numbers.is_empty(),
        }
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Points(points) => points.len() * size_of::<Point>(),
            Self::Values(values) => values.keys().map(|value| 64 + value.len()).sum(),
            Self::Times(times) => times.iter().map(|times| 24 + times.len() * 8).sum(),
            Self::Numbers(numbers) => numbers.len() * size_of::<Number>(),
        }
    }
}

impl Point {
    fn join(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
    }
}

/// `enough`: for counts, how many decide; a frame that has not fired holds fewer, and of one that has, the first so many can
/// still complete the frame before.
fn add_point(points: &mut Vec<Point>, point: Point, timespan: i64, enough: Option<u64>) {
    let place = points.partition_point(|other| other.first <= point.first);
    if let Some(before) = place.checked_sub(1)
        && points[before].last >= point.first
    {
        // The same time, or a slice that is one already.
        points[before].join(&point);
    } else {
        points.insert(place, point);
    }
    if let Some(enough) = enough {
        points.truncate(usize::try_from(enough).unwrap_or(usize::MAX));
    }
    if points.len() <= MAX_POINTS {
        return;
    }
    let slice = |at: i64| at.div_euclid((timespan / SLICES).max(1));
    let mut joined: Vec<Point> = Vec::with_capacity(MAX_POINTS / 2);
    for point in points.drain(..) {
        match joined.last_mut() {
            Some(last) if slice(last.first) == slice(point.first) => last.join(&point),
            _ => joined.push(point),
        }
    }
    *points = joined;
}

/// Of more values than decide, those that came latest in event time are let go.
fn add_value(values: &mut BTreeMap<String, (i64, i64)>, value: &str, at: i64, enough: u64) {
    if let Some(times) = values.get_mut(value) {
        *times = (times.0.min(at), times.1.max(at));
        return;
    }
    values.insert(value.to_owned(), (at, at));
    if values.len() as u64 > enough {
        let latest = values.iter().max_by_key(|(value, (first, _))| (*first, *value));
        if let Some(latest) = latest.map(|(value, _)| value.clone()) {
            values.remove(&latest);
        }
    }
}

fn add_time(times: &mut Vec<i64>, at: i64, timespan: i64, ordered: bool) {
    let place = times.partition_point(|time| *time < at);
    if times.get(place) == Some(&at) {
        return;
    }
    times.insert(place, at);
    if !ordered {
        if times.len() > 2 {
            times.remove(1);
        }
        return;
    }
    if times.len() <= MAX_TIMES {
        return;
    }
    let slice = |at: i64| at.div_euclid((timespan / TIME_SLICES).max(1));
    let all = std::mem::take(times);
    for (index, at) in all.iter().enumerate() {
        let is_same = |other: Option<&i64>| other.is_some_and(|other| slice(*other) == slice(*at));
        let is_inner = is_same(index.checked_sub(1).and_then(|before| all.get(before))) && is_same(all.get(index + 1));
        if !is_inner {
            times.push(*at);
        }
    }
}

fn add_number(numbers: &mut Vec<Number>, number: Number) {
    let place = numbers.partition_point(|other| other.at <= number.at);
    numbers.insert(place, number);
    if numbers.len() > MAX_NUMBERS {
        // Fingerprints are as good as chance, and the same in whatever order the events come.
        let most = numbers.iter().enumerate().max_by_key(|(_, number)| number.print);
        if let Some(most) = most.map(|(index, _)| index) {
            numbers.remove(most);
        }
    }
}

/// The percentile of some numbers, interpolated between the two nearest; `None` of none.
pub(super) fn percentile(numbers: impl Iterator<Item = f64>, rank: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place among at most some thousand"
    )]
    let (below, part) = {
        let place = rank.clamp(0.0, 100.0) / 100.0 * last as f64;
        (place.floor() as usize, place.fract())
    };
    let (low, high) = (sorted[below.min(last)], sorted[(below + 1).min(last)]);
    Some(if part > 0.0 { low + (high - low) * part } else { low })
}

/// The mean of points; `None` of none.
pub(super) fn mean(points: &[Point]) -> Option<f64> {
    let count: u64 = points.iter().map(|point| point.count).fold(0, u64::saturating_add);
    let sum: f64 = points.iter().map(|point| point.sum).sum();
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    (count > 0).then(|| sum / count as f64)
}

/// Whether it is satisfied, and by how much, when all of a tally lies in one window.
pub(super) fn whole(tally: &Tally, counts: &Counts, condition: &Condition) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "compared with a bound")]
    let measure = match (tally, counts) {
        (
            Tally::Points(points),
            Counts::Number {
                measure: Measure::Average,
                ..
            },
        ) => mean(points)?,
        (Tally::Points(points), Counts::Number { .. }) => points.iter().map(|point| point.sum).sum(),
        (Tally::Points(points), _) => points.iter().map(|point| point.count).fold(0, u64::saturating_add) as f64,
        (Tally::Values(values), _) => values.len() as f64,
        (Tally::Times(times), Counts::Rule { ordered: true, .. }) => {
            super::order::longest(&super::order::Times::of(times, &[], i64::MIN, i64::MAX))
                .iter()
                .flatten()
                .count() as f64
        }
        (Tally::Times(times), _) => times.iter().filter(|times| !times.is_empty()).count() as f64,
        (
            Tally::Numbers(numbers),
            Counts::Number {
                measure: Measure::Percentile(rank),
                ..
            },
        ) => percentile(numbers.iter().map(|number| number.value), *rank)?,
        (Tally::Numbers(_), _) => return None,
    };
    condition.holds(measure).then_some(measure)
}
