//! Windows that fire as soon as enough has happened.

use std::collections::BTreeMap;

use super::frame::Frame;
use super::order::{Times, satisfied};
use super::tally::{Number, Point, Tally, mean, percentile};
use super::{Contribution, Span};
use crate::found::{Counts, Measure};

/// What a window that is satisfied comes to.
#[derive(Debug, PartialEq)]
pub(super) struct Hit {
    pub(super) span: Span,
    pub(super) events: u64,
    pub(super) measure: f64,
}

/// The first window that is satisfied among those that events of a frame open. For counts, sums and sets of rules: whether
/// there is one depends on the events alone, not on the order in which they came.
pub(super) fn opened(frame: &Frame, next: Option<&Frame>, event: &Contribution) -> Option<Hit> {
    let empty = Frame::default();
    let next = next.unwrap_or(&empty);
    let events = frame.events.saturating_add(next.events);
    match (&frame.tally, &next.tally) {
        (Tally::Points(points), Tally::Points(after)) => of_points(points, after, event),
        (Tally::Values(values), after) => {
            let none = BTreeMap::new();
            let after = if let Tally::Values(after) = after { after } else { &none };
            let (span, measure) = of_values(values, after, event)?;
            Some(Hit { span, events, measure })
        }
        (Tally::Times(times), after) => {
            let after: &[Vec<i64>] = if let Tally::Times(after) = after { after } else { &[] };
            let (span, measure) = of_times(times, after, event)?;
            Some(Hit { span, events, measure })
        }
        (Tally::Points(_) | Tally::Numbers(_), _) => None,
    }
}

/// Counts and sums: both ends of the window move on together.
fn of_points(points: &[Point], after: &[Point], event: &Contribution) -> Option<Hit> {
    let is_sum = matches!(event.counts, Counts::Number { .. });
    let at = |place: usize| points.get(place).or_else(|| after.get(place - points.len()));
    let (mut count, mut sum, mut size) = (0u64, 0.0, 0.0f64);
    let mut end = 0;
    for (begin, opener) in points.iter().enumerate() {
        while let Some(point) = at(end).filter(|point| point.first.saturating_sub(opener.first) < event.timespan) {
            count = count.saturating_add(point.count);
            sum += point.sum;
            size += point.sum.abs();
            end += 1;
        }
        // Adding and taking away loses a little of a sum: near the bound it is added up anew.
        let is_near = if is_sum {
            event.condition.holds(sum + size * 1e-9)
        } else {
            #[expect(clippy::cast_precision_loss, reason = "compared with a bound")]
            event.condition.holds(count as f64)
        };
        if is_near && let Some(hit) = prefix((begin..end).filter_map(at), is_sum, event) {
            return Some(hit);
        }
        count = count.saturating_sub(opener.count);
        sum -= opener.sum;
        size -= opener.sum.abs();
    }
    None
}

/// The part of a window that satisfies already: as little of it as does.
fn prefix<'p>(points: impl Iterator<Item = &'p Point>, is_sum: bool, event: &Contribution) -> Option<Hit> {
    let mut hit: Option<Hit> = None;
    for point in points {
        let own = hit.get_or_insert(Hit {
            span: (point.first, point.last),
            events: 0,
            measure: 0.0,
        });
        own.span.1 = own.span.1.max(point.last);
        own.events = own.events.saturating_add(point.count);
        #[expect(clippy::cast_precision_loss, reason = "compared with a bound")]
        let measure = if is_sum {
            own.measure + point.sum
        } else {
            own.events as f64
        };
        own.measure = measure;
        if event.condition.holds(measure) {
            return hit;
        }
    }
    None
}

type Values = BTreeMap<String, (i64, i64)>;

fn of_values(values: &Values, after: &Values, event: &Contribution) -> Option<(Span, f64)> {
    let mut openers: Vec<i64> = values.values().flat_map(|(first, last)| [*first, *last]).collect();
    openers.sort_unstable();
    openers.dedup();
    openers.into_iter().find_map(|from| {
        let mut seen: BTreeMap<&str, i64> = BTreeMap::new();
        for (value, (first, last)) in values {
            if *last >= from {
                seen.insert(value, (*first).max(from));
            }
        }
        for (value, (first, _)) in after {
            if first.saturating_sub(from) < event.timespan {
                seen.entry(value).or_insert(*first);
            }
        }
        let to = seen.values().copied().max()?;
        #[expect(clippy::cast_precision_loss, reason = "at most some thousand")]
        let measure = seen.len() as f64;
        event.condition.holds(measure).then_some(((from, to), measure))
    })
}

fn of_times(times: &[Vec<i64>], after: &[Vec<i64>], event: &Contribution) -> Option<(Span, f64)> {
    let ordered = matches!(event.counts, Counts::Rule { ordered: true, .. });
    let mut openers: Vec<i64> = times.iter().flatten().copied().collect();
    openers.sort_unstable();
    openers.dedup();
    openers.into_iter().find_map(|from| {
        let window = Times::of(times, after, from, from.saturating_add(event.timespan));
        let (to, measure) = satisfied(&window, &event.condition, ordered)?;
        Some(((from, to), measure))
    })
}

/// The window that ends with an event, over what has come of it. For means and percentiles: what a window opens with says
/// nothing of them, what it holds by now does. `frames` are those around the event, in order. Besides the event itself, the
/// latest one whose window holds it is tried.
pub(super) fn trailing(frames: &[&Frame], event: &Contribution) -> Option<Hit> {
    let latest = frames
        .iter()
        .filter_map(|frame| match &frame.tally {
            Tally::Points(points) => points.iter().map(|point| point.first).rfind(|at| reaches(*at, event)),
            Tally::Numbers(numbers) => numbers.iter().map(|number| number.at).rfind(|at| reaches(*at, event)),
            Tally::Values(_) | Tally::Times(_) => None,
        })
        .max();
    let ends = [Some(event.at), latest.filter(|latest| *latest > event.at)];
    ends.into_iter().flatten().find_map(|end| ending(frames, event, end))
}

fn reaches(at: i64, event: &Contribution) -> bool {
    at.saturating_sub(event.at) < event.timespan
}

fn ending(frames: &[&Frame], event: &Contribution, end: i64) -> Option<Hit> {
    let within = |at: i64| at <= end && end.saturating_sub(at) < event.timespan;
    let Counts::Number { measure, .. } = &event.counts else {
        return None;
    };
    let (mut points, mut numbers): (Vec<Point>, Vec<Number>) = (Vec::new(), Vec::new());
    for frame in frames {
        match &frame.tally {
            Tally::Points(own) => points.extend(own.iter().filter(|point| within(point.first))),
            Tally::Numbers(own) => numbers.extend(own.iter().filter(|number| within(number.at))),
            Tally::Values(_) | Tally::Times(_) => {}
        }
    }
    let (measure, events, span) = match measure {
        Measure::Percentile(rank) => (
            percentile(numbers.iter().map(|number| number.value), *rank)?,
            numbers.len() as u64,
            (numbers.first()?.at, numbers.last()?.at),
        ),
        Measure::Sum | Measure::Average => (
            mean(&points)?,
            points.iter().map(|point| point.count).fold(0, u64::saturating_add),
            (points.first()?.first, points.last()?.last),
        ),
    };
    event.condition.holds(measure).then_some(Hit { span, events, measure })
}
