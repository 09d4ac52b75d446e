//! Random events, compared with what the definition says of all of them together.

use proptest::prelude::*;

use super::*;

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

    #[test]
    fn sums_of_what_is_never_negative_do_not_depend_on_the_order(events in events(), bound in 1u8..30) {
        let condition = bounds(&[(Comparison::Gte, f64::from(bound))]);
        let expected = reference(&events, 60, |within| {
            within.iter().map(|(_, value)| f64::from(*value)).sum::<f64>() >= f64::from(bound)
        });
        let numbers: Vec<(i64, f64)> = events.iter().map(|(at, value)| (*at, f64::from(*value))).collect();
        prop_assert_eq!(fired_numbers(&numbers, Measure::Sum, &condition), expected);
    }

    #[test]
    fn rules_in_any_order(events in events(), least in 1u64..6) {
        let distinct = |within: &[(i64, u8)]| {
            let mut steps: Vec<u8> = within.iter().map(|(_, step)| *step).collect();
            steps.sort_unstable();
            steps.dedup();
            steps.len()
        };
        let expected = reference(&events, 60, |within| distinct(within) as u64 >= least);
        prop_assert_eq!(fired_rules(&events, 6, false, &at_least(least)), expected);
        let all = reference(&events, 60, |within| distinct(within) == 6);
        prop_assert_eq!(fired_rules(&events, 6, false, &Condition::Rules(vec![0b11_1111])), all);
    }

    /// Whatever the order of arrival: the order of time decides.
    #[test]
    fn rules_in_their_order(events in prop::collection::vec((0i64..240, 0u8..4), 1..60).prop_shuffle(), least in 1usize..4) {
        let chain = |within: &[(i64, u8)], steps: &[u8]| {
            let mut at = i64::MIN;
            steps.iter().all(|step| {
                let next = within.iter().filter(|(time, own)| own == step && *time >= at).map(|(time, _)| *time).min();
                at = next.unwrap_or(i64::MAX);
                next.is_some()
            })
        };
        let all = reference(&events, 60, |within| chain(within, &[0, 1, 2, 3]));
        prop_assert_eq!(fired_rules(&events, 4, true, &Condition::Rules(vec![0b1111])), all);
        let some = reference(&events, 60, |within| chain(within, &[0, 3]) || chain(within, &[1, 2]));
        prop_assert_eq!(fired_rules(&events, 4, true, &Condition::Rules(vec![0b1001, 0b0110])), some);
        let counted = reference(&events, 60, |within| (0u8..16).any(|set| {
            let steps: Vec<u8> = (0..4).filter(|step| set >> step & 1 == 1).collect();
            steps.len() >= least && chain(within, &steps)
        }));
        prop_assert_eq!(fired_rules(&events, 4, true, &at_least(least as u64)), counted);
    }

    /// A flood of one rule's events is thinned: no order is invented.
    #[test]
    fn a_thinned_order_is_an_order(times in prop::collection::vec(0i64..60_000, 200..600), last in 0i64..60_000) {
        let condition = Condition::Rules(vec![0b11]);
        let rule = |step: u8| Counts::Rule { step, steps: 2, ordered: true };
        let mut events: Vec<Contribution> =
            times.iter().map(|at| event(*at, 60_000, rule(0), &condition)).collect();
        events.push(event(last, 60_000, rule(1), &condition));
        let is_due = times.iter().any(|at| *at <= last);
        prop_assert_eq!(!places(events).is_empty(), is_due);
    }

    #[test]
    fn saved_and_restored_windows_are_the_same(events in events(), cut in 0usize..60) {
        let condition = at_least(3);
        let contribution = |(at, step): &(i64, u8)| {
            // Times are kept to the millisecond.
            event(*at * 1000, 60_000, Counts::Rule { step: *step, steps: 6, ordered: true }, &condition)
        };
        let mut windows = GroupWindows::default();
        let cut = cut.min(events.len());
        events[..cut].iter().for_each(|own| { windows.contribute(&contribution(own)); });
        let mut restored: GroupWindows = postcard::from_bytes(&postcard::to_allocvec(&windows).unwrap()).unwrap();
        restored.restore();
        prop_assert_eq!(restored.bytes(), windows.bytes());
        for own in &events[cut..] {
            prop_assert_eq!(restored.contribute(&contribution(own)), windows.contribute(&contribution(own)));
        }
    }
}
