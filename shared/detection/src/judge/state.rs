//! What judge remembers of a partition, and how it is saved.
//!
//! Every change goes through [`JudgeState::apply`], and the changes of a batch are its delta: the same state comes back by
//! applying the deltas again to the last snapshot. Nothing in it depends on a clock; age is the arrival time of the records.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use threatstream_domain::{AlertGroup, Original};

use super::windows::{Contributed, GroupWindows};
use crate::found::Counts;
use crate::recent::Recent;

/// Bounds of what one partition remembers; beyond them what was touched longest ago goes.
const MAX_GROUPS: usize = 50_000;
const MAX_ALERTS: usize = 10_000;
const MAX_COUNTERS: usize = 50_000;
const MAX_WINDOW_BYTES: usize = 32 << 20;
/// A window or an alert that no record touched for so long (in microseconds of arrival time) is forgotten.
const FORGET_AFTER: i64 = 25 * 3600 * 1_000_000;

/// Slots of saved state: the duplicate filter's, then the rest's.
const RECENT_SLOT: u16 = 0;
const REST_SLOT: u16 = 16;
/// A saved value stays below what stores take.
const SLOT_BYTES: usize = 800 * 1024;

/// One change of the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Change {
    /// A match was seen, at an arrival time.
    Seen(u128, i64),
    /// An event went into a window.
    Contributed {
        key: u128,
        counts: Counts,
        at: i64,
        timespan: i64,
        threshold: u64,
        original: Original,
    },
    /// A threat was counted against its minute.
    Minute { key: u128, minute: i64 },
    /// An alert is so now.
    Alert { key: u128, group: AlertGroup },
}

/// Duplicates, windows, suppression and open alerts of one partition.
#[derive(Debug, Default)]
pub struct JudgeState {
    recent: Recent,
    rest: Rest,
    changes: Vec<Change>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Rest {
    /// Arrival time of the newest record, in microseconds.
    now: i64,
    windows: HashMap<u128, (i64, GroupWindows)>,
    /// What the windows weigh together; it follows from them, and is not saved.
    #[serde(skip)]
    window_bytes: usize,
    minutes: HashMap<(u128, i64), (i64, u32)>,
    alerts: HashMap<u128, (i64, Vec<AlertGroup>)>,
}

/// Why saved state cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the saved state of the partition cannot be read: {0}")]
pub struct UnreadableState(#[from] postcard::Error);

impl JudgeState {
    /// Restores what was saved.
    ///
    /// # Errors
    /// [`UnreadableState`] when another version wrote it, or it is damaged.
    pub fn load(slots: &[(u16, impl AsRef<[u8]>)], deltas: &[impl AsRef<[u8]>]) -> Result<Self, UnreadableState> {
        let mut state = Self {
            recent: Recent::load(
                slots
                    .iter()
                    .filter(|(slot, _)| *slot < REST_SLOT)
                    .map(|(_, bytes)| bytes.as_ref()),
            ),
            ..Self::default()
        };
        let mut rest: Vec<(u16, &[u8])> = slots
            .iter()
            .filter(|(slot, _)| *slot >= REST_SLOT)
            .map(|(slot, bytes)| (*slot, bytes.as_ref()))
            .collect();
        rest.sort_unstable_by_key(|(slot, _)| *slot);
        let joined: Vec<u8> = rest.into_iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        if !joined.is_empty() {
            // Slots beyond the last snapshot's length may hold what an earlier, longer one left: the reader stops before them.
            state.rest = postcard::take_from_bytes(&joined)?.0;
            state.rest.windows.values_mut().for_each(|(_, windows)| windows.weigh());
            state.rest.window_bytes = state.rest.windows.values().map(|(_, windows)| windows.bytes()).sum();
        }
        for delta in deltas {
            let changes: Vec<Change> = postcard::from_bytes(delta.as_ref())?;
            for change in &changes {
                state.apply(change);
            }
        }
        Ok(state)
    }

    /// The changes since the last call, as a delta.
    #[must_use]
    pub fn take_delta(&mut self) -> Vec<u8> {
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() {
            return Vec::new();
        }
        // Plain data of known types: nothing in it can fail to be written.
        postcard::to_allocvec(&changes).unwrap_or_default()
    }

    /// Everything, in slots; those of the duplicate filter only where they changed.
    #[must_use]
    pub fn snapshot(&mut self) -> Vec<(u16, Vec<u8>)> {
        let mut slots = self.recent.save(RECENT_SLOT);
        let rest = postcard::to_allocvec(&self.rest).unwrap_or_default();
        slots.extend(
            (REST_SLOT..)
                .zip(rest.chunks(SLOT_BYTES))
                .map(|(slot, bytes)| (slot, bytes.to_vec())),
        );
        slots
    }

    /// Makes a change and remembers it for the delta.
    pub(super) fn change(&mut self, change: Change) -> Contributed {
        let contributed = self.apply(&change);
        self.changes.push(change);
        contributed
    }

    fn apply(&mut self, change: &Change) -> Contributed {
        let rest = &mut self.rest;
        match change {
            Change::Seen(key, arrived) => {
                self.recent.insert(*key);
                rest.now = rest.now.max(*arrived);
            }
            Change::Contributed {
                key,
                counts,
                at,
                timespan,
                threshold,
                original,
            } => {
                let (touched, windows) = rest.windows.entry(*key).or_default();
                *touched = rest.now;
                let before = windows.bytes();
                let contributed = windows.contribute(counts, *at, *timespan, *threshold, original);
                rest.window_bytes = rest.window_bytes - before + windows.bytes();
                let too_heavy = rest.window_bytes > MAX_WINDOW_BYTES;
                if too_heavy || rest.windows.len() > MAX_GROUPS {
                    let most = if too_heavy {
                        rest.windows.len() * 9 / 10
                    } else {
                        MAX_GROUPS
                    };
                    bound(&mut rest.windows, most, rest.now, |(touched, _)| *touched);
                    rest.window_bytes = rest.windows.values().map(|(_, windows)| windows.bytes()).sum();
                }
                return contributed;
            }
            Change::Minute { key, minute } => {
                let (touched, count) = rest.minutes.entry((*key, *minute)).or_default();
                *touched = rest.now;
                *count = count.saturating_add(1);
                bound(&mut rest.minutes, MAX_COUNTERS, rest.now, |(touched, _)| *touched);
            }
            Change::Alert { key, group } => {
                let (touched, groups) = rest.alerts.entry(*key).or_default();
                *touched = rest.now;
                match groups.iter_mut().find(|open| open.id == group.id) {
                    Some(open) => *open = group.clone(),
                    None => groups.push(group.clone()),
                }
                if groups.len() > 8 {
                    groups.remove(0);
                }
                bound(&mut rest.alerts, MAX_ALERTS, rest.now, |(touched, _)| *touched);
            }
        }
        Contributed::default()
    }

    pub(super) fn has_seen(&self, key: u128) -> bool {
        self.recent.contains(key)
    }

    /// Threats of this key in this minute so far.
    pub(super) fn in_minute(&self, key: u128, minute: i64) -> u32 {
        self.rest.minutes.get(&(key, minute)).map_or(0, |(_, count)| *count)
    }

    /// The alerts of a key, oldest first.
    pub(super) fn alerts(&self, key: u128) -> &[AlertGroup] {
        self.rest.alerts.get(&key).map_or(&[], |(_, groups)| groups)
    }

    /// How much is remembered: (duplicates aside) groups with windows, and keys with alerts.
    #[must_use]
    pub fn size(&self) -> BTreeMap<&'static str, usize> {
        BTreeMap::from([("windows", self.rest.windows.len()), ("alerts", self.rest.alerts.len())])
    }
}

/// Forgets what is too old, and of the rest the oldest tenth, once there is too much. What was touched at once goes in the order
/// of its keys, so that the outcome does not depend on how a map is walked.
fn bound<K: Copy + Ord + std::hash::Hash, V>(
    map: &mut HashMap<K, V>,
    most: usize,
    now: i64,
    touched: impl Fn(&V) -> i64,
) {
    if map.len() <= most {
        return;
    }
    map.retain(|_, value| now - touched(value) < FORGET_AFTER);
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
    fn windows_weigh_what_they_hold() {
        let mut state = JudgeState::default();
        let original = Original {
            event_id: "e".into(),
            timestamp: threatstream_domain::Timestamp::EPOCH,
            format: "text".into(),
            raw: "x".repeat(1000),
            truncated: false,
        };
        for key in 0..60_000 {
            let counts = Counts::Events;
            let original = original.clone();
            state.change(Change::Contributed {
                key,
                counts,
                at: 0,
                timespan: 60,
                threshold: 5,
                original,
            });
        }
        assert!(state.rest.window_bytes <= MAX_WINDOW_BYTES && state.rest.window_bytes > MAX_WINDOW_BYTES / 2);
        let weight: usize = state.rest.windows.values().map(|(_, windows)| windows.bytes()).sum();
        assert_eq!(state.rest.window_bytes, weight);
    }
}
