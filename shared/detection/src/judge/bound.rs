//! Keeping maps within bounds: what was touched longest ago goes first.
//!
//! What was touched at once goes in the order of its keys, so that the outcome does not depend on how a map is walked: state that
//! is restored forgets what the original forgets.

use std::collections::HashMap;
use std::hash::Hash;

/// What no record touched for so long (in microseconds of arrival time) is too old.
pub(super) const FORGET_AFTER: i64 = 25 * 3600 * 1_000_000;

/// Forgets what is too old, and of the rest the oldest tenth, once there is too much.
pub(super) fn bound<K: Copy + Ord + Hash, V>(
    map: &mut HashMap<K, V>,
    most: usize,
    now: i64,
    touched: impl Fn(&V) -> i64,
) {
    if map.len() <= most {
        return;
    }
    map.retain(|_, value| now.saturating_sub(touched(value)) < FORGET_AFTER);
    if map.len() <= most {
        return;
    }
    let mut ages: Vec<(i64, K)> = map.iter().map(|(key, value)| (touched(value), *key)).collect();
    let tenth = ages.len().div_ceil(10).min(ages.len() - 1);
    ages.select_nth_unstable(tenth);
    for (_, key) in &ages[..tenth] {
        map.remove(key);
    }
}

/// Forgets what was touched longest ago until the rest weighs nine tenths of `most`; what it weighs then. The entry of `kept`
/// stays, whatever it weighs.
pub(super) fn lighten<K: Copy + Ord + Hash, V>(
    map: &mut HashMap<K, V>,
    most: usize,
    kept: K,
    touched: impl Fn(&V) -> i64,
    weight: impl Fn(&V) -> usize,
) -> usize {
    let mut total: usize = map.values().map(&weight).sum();
    let mut ages: Vec<(i64, K)> = map.iter().map(|(key, value)| (touched(value), *key)).collect();
    ages.sort_unstable();
    for (_, key) in ages {
        if total <= most / 10 * 9 {
            break;
        }
        if key != kept
            && let Some(gone) = map.remove(&key)
        {
            total -= weight(&gone);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_the_oldest_tenth_goes() {
        let mut map: HashMap<u32, i64> = (0..1000).map(|key| (key, i64::from(key / 2))).collect();
        bound(&mut map, 1000, 500, |touched| *touched);
        assert_eq!(map.len(), 1000);
        bound(&mut map, 999, 500, |touched| *touched);
        assert_eq!(map.len(), 900);
        assert!((100..1000).all(|key| map.contains_key(&key)));
        map.insert(5000, 600 + FORGET_AFTER);
        bound(&mut map, 800, 600 + FORGET_AFTER, |touched| *touched);
        assert_eq!(map.keys().collect::<Vec<_>>(), [&5000], "the others are too old");
    }

    #[test]
    fn the_heaviest_goes_only_in_its_turn_and_the_one_at_hand_never() {
        let mut map: HashMap<u32, (i64, usize)> = (1..=10).map(|key| (key, (i64::from(key), 10))).collect();
        assert_eq!(
            lighten(&mut map, 100, 1, |(touched, _)| *touched, |(_, weight)| *weight),
            90
        );
        assert!(map.contains_key(&1) && !map.contains_key(&2));
        map.insert(1, (0, 1000));
        assert_eq!(
            lighten(&mut map, 100, 1, |(touched, _)| *touched, |(_, weight)| *weight),
            1000
        );
        assert_eq!(map.len(), 1, "nothing else can make room");
    }
}
