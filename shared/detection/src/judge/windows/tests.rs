//! What windows fire.

mod definition;

use super::*;
use crate::sigma::{Bound, Comparison};

fn bounds(list: &[(Comparison, f64)]) -> Condition {
    Condition::Bounds(
        list.iter()
            .map(|(is, value)| Bound { is: *is, value: *value })
            .collect(),
    )
}

fn at_least(count: u64) -> Condition {
    #[expect(clippy::cast_precision_loss, reason = "a bound")]
    bounds(&[(Comparison::Gte, count as f64)])
}

fn event(at: i64, timespan: i64, counts: Counts, condition: &Condition) -> Contribution {
    Contribution {
        counts,
        condition: condition.clone(),
        timespan,
        at,
        print: at.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15),
        rule: "rule".into(),
        original: original(at),
        whole: None,
    }
}

fn original(at: i64) -> Original {
    Original {
        event_id: format!("e{at}"),
        timestamp: Timestamp::from_micros(at),
        format: "text".into(),
        raw: "line".into(),
        truncated: false,
    }
}

/// The frames that fire, in order.
fn places(events: impl IntoIterator<Item = Contribution>) -> Vec<i64> {
    let mut windows = GroupWindows::default();
    let mut fired: Vec<i64> = events
        .into_iter()
        .flat_map(|event| windows.contribute(&event).fired)
        .map(|fired| fired.place)
        .collect();
    fired.sort_unstable();
    fired
}

fn fired_events(times: &[i64], timespan: i64, threshold: u64) -> Vec<i64> {
    let condition = at_least(threshold);
    places(times.iter().map(|at| event(*at, timespan, Counts::Event, &condition)))
}

fn fired_values(events: &[(i64, u8)], timespan: i64, threshold: u64) -> Vec<i64> {
    let condition = at_least(threshold);
    let value = |value: u8| Counts::Value {
        field: "user.name".into(),
        value: value.to_string(),
    };
    places(
        events
            .iter()
            .map(|(at, own)| event(*at, timespan, value(*own), &condition)),
    )
}

fn number(value: f64, measure: Measure) -> Counts {
    Counts::Number {
        field: "bytes".into(),
        value,
        measure,
    }
}

fn fired_numbers(events: &[(i64, f64)], measure: Measure, condition: &Condition) -> Vec<i64> {
    places(
        events
            .iter()
            .map(|(at, value)| event(*at, 60, number(*value, measure), condition)),
    )
}

fn fired_rules(events: &[(i64, u8)], steps: u8, ordered: bool, condition: &Condition) -> Vec<i64> {
    let rule = |step: u8| Counts::Rule { step, steps, ordered };
    places(events.iter().map(|(at, step)| event(*at, 60, rule(*step), condition)))
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
        .flat_map(|at| windows.contribute(&event(at, 60, Counts::Event, &at_least(50))).fired)
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

#[test]
fn the_window_of_an_order_may_not_be_turned_around() {
    let both = Condition::Rules(vec![0b11]);
    assert_eq!(fired_rules(&[(10, 0), (20, 1)], 2, true, &both), [0]);
    assert_eq!(
        fired_rules(&[(20, 1), (10, 0)], 2, true, &both),
        [0],
        "it arrived the other way round"
    );
    assert_eq!(fired_rules(&[(10, 1), (20, 0)], 2, true, &both), [] as [i64; 0]);
    assert_eq!(
        fired_rules(&[(10, 1), (10, 0)], 2, true, &both),
        [0],
        "at once is in order"
    );
    assert_eq!(fired_rules(&[(10, 1), (20, 0)], 2, false, &both), [0]);
    assert_eq!(fired_rules(&[(10, 0), (70, 1)], 2, true, &both), [] as [i64; 0]);
}

#[test]
fn a_mean_is_that_of_the_timespan_before() {
    let above = bounds(&[(Comparison::Gt, 500.0)]);
    assert_eq!(fired_numbers(&[(0, 400.0), (10, 700.0)], Measure::Average, &above), [0]);
    assert_eq!(
        fired_numbers(&[(0, 100.0), (10, 700.0)], Measure::Average, &above),
        [] as [i64; 0]
    );
    // The first has left the window.
    assert_eq!(
        fired_numbers(&[(0, 100.0), (30, 450.0), (65, 700.0)], Measure::Average, &above),
        [0]
    );
    // A late event counts for the windows that have ended with later ones.
    assert_eq!(
        fired_numbers(&[(0, 100.0), (50, 700.0), (20, 900.0)], Measure::Average, &above),
        [0]
    );
}

#[test]
fn percentiles_lie_between_the_nearest() {
    let ranks = |values: &[f64], rank| tally::percentile(values.iter().copied(), rank);
    assert_eq!(ranks(&[10.0, 20.0, 30.0, 40.0], 50.0), Some(25.0));
    assert_eq!(ranks(&[40.0, 10.0, 30.0, 20.0], 100.0), Some(40.0));
    assert_eq!(ranks(&[5.0, 1.0], 0.0), Some(1.0));
    assert_eq!(ranks(&[7.0], 95.0), Some(7.0));
    assert_eq!(ranks(&[], 50.0), None);
    let p90 = Measure::Percentile(90.0);
    let above = bounds(&[(Comparison::Gte, 90.0)]);
    let values: Vec<(i64, f64)> = (0..10).map(|at| (at, if at < 8 { 10.0 } else { 100.0 })).collect();
    assert_eq!(fired_numbers(&values[..8], p90, &above), [] as [i64; 0]);
    assert_eq!(fired_numbers(&values, p90, &above), [0]);
}

#[test]
fn of_many_numbers_a_sample_decides() {
    let median = Measure::Percentile(50.0);
    let numbers: Vec<(i64, f64)> = (0..20_000).map(|at| (at, ((at * 7919) % 1000) as f64)).collect();
    let fired = |bound: f64| {
        let condition = bounds(&[(Comparison::Gt, bound)]);
        let events = numbers.iter().map(|(at, value)| {
            let mut event = event(*at, 1_000_000, number(*value, median), &condition);
            event.print = crate::found::digest(&[&at.to_string()]) as u64;
            event
        });
        let mut windows = GroupWindows::default();
        let fired = events.map(|event| windows.contribute(&event)).enumerate();
        let fired: Vec<usize> = fired
            .filter(|(_, done)| !done.fired.is_empty())
            .map(|(at, _)| at)
            .collect();
        assert!(windows.bytes() < 64 << 10, "{}", windows.bytes());
        fired
    };
    assert_eq!(
        fired(600.0).iter().filter(|at| **at > 200).count(),
        0,
        "the median is about 500"
    );
    assert!(!fired(400.0).is_empty());
}

#[test]
fn a_sum_of_more_events_than_are_told_apart_is_right() {
    let all = bounds(&[(Comparison::Gte, 50_000.0)]);
    let events: Vec<(i64, f64)> = (0..50_000).map(|at| (at, 1.0)).collect();
    let fired = |upto: usize| {
        places(
            events[..upto]
                .iter()
                .map(|(at, value)| event(*at, 100_000, number(*value, Measure::Sum), &all)),
        )
    };
    assert_eq!(fired(49_999), [] as [i64; 0]);
    assert_eq!(fired(50_000), [0]);
}
