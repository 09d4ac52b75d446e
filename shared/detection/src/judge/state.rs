//! What judge remembers of a partition, and how it is saved.
//!
//! Every change goes through [`JudgeState::apply`], and the changes of a batch are its delta: the same state comes back by
//! applying the deltas again to the last snapshot. Nothing in it depends on a clock; age is the arrival time of the records.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use threatstream_domain::AlertGroup;

use super::bound::{FORGET_AFTER, bound, lighten};
use super::weigh;
use super::windows::{Contributed, Contribution, Fired, GroupWindows};
use crate::recent::Recent;

/// Bounds of what one partition remembers; beyond them what was touched longest ago goes.
const MAX_GROUPS: usize = 200_000;
const MAX_ALERTS: usize = 10_000;
const MAX_COUNTERS: usize = 50_000;
const MAX_WINDOW_BYTES: usize = 32 << 20;
const MAX_ALERT_BYTES: usize = 16 << 20;
/// Alerts of one key; beyond them the first opened goes.
const MAX_ALERTS_OF_KEY: usize = 8;
/// What is too old is looked for once in so long, in microseconds of arrival time.
const SWEEP_EVERY: i64 = 3600 * 1_000_000;

/// Slots of saved state: the duplicate filter's, then the rest's.
const RECENT_SLOT: u16 = 0;
const REST_SLOT: u16 = 16;
/// A saved value stays below what stores take.
const SLOT_BYTES: usize = 800 * 1024;
/// What snapshots and deltas begin with: a mark, and the number of the layout of what follows. It counts up with every change of
/// a type that is saved, windows and matches included.
const MARK: [u8; 3] = *b"\xF6TS";
const LAYOUT: u8 = 2;

/// One change of the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Change {
    /// A match was seen, at an arrival time.
    Seen(u128, i64),
    /// An event went into a window.
    Contributed { key: u128, event: Contribution },
    /// What was open of a window that is decided when it is over was decided.
    Closed { key: u128 },
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
    /// What the alerts weigh together; likewise.
    #[serde(skip)]
    alert_bytes: usize,
}

/// Why saved state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableState {
    /// Another version of the product wrote it.
    #[error("the saved state of the partition has {}, and this version reads layout {LAYOUT}", .found.map_or_else(|| "no layout number".to_owned(), |found| format!("layout {found}")))]
    Layout {
        /// The layout it says to have; `None`: it says nothing.
        found: Option<u8>,
    },
    /// It is damaged.
    #[error("the saved state of the partition cannot be read: {0}")]
    Damaged(#[from] postcard::Error),
}

/// What follows the mark and the number of the layout.
fn unmarked(bytes: &[u8]) -> Result<&[u8], UnreadableState> {
    match bytes.strip_prefix(&MARK).and_then(<[u8]>::split_first) {
        Some((&LAYOUT, rest)) => Ok(rest),
        other => Err(UnreadableState::Layout {
            found: other.map(|(found, _)| *found),
        }),
    }
}

fn marked(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = MARK.to_vec();
    bytes.push(LAYOUT);
    // Plain data of known types: nothing in it can fail to be written.
    postcard::to_extend(value, bytes).unwrap_or_default()
}

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
            state.rest = postcard::take_from_bytes(unmarked(&joined)?)?.0;
            state
                .rest
                .windows
                .values_mut()
                .for_each(|(_, windows)| windows.restore());
            state.rest.window_bytes = state.rest.windows.values().map(|(_, windows)| windows.bytes()).sum();
            state.rest.weigh_alerts();
        }
        for delta in deltas {
            let changes: Vec<Change> = postcard::from_bytes(unmarked(delta.as_ref())?)?;
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
        marked(&changes)
    }

    /// Everything, in slots; those of the duplicate filter only where they changed.
    #[must_use]
    pub fn snapshot(&mut self) -> Vec<(u16, Vec<u8>)> {
        let mut slots = self.recent.save(RECENT_SLOT);
        let rest = marked(&self.rest);
        slots.extend(
            (REST_SLOT..)
                .zip(rest.chunks(SLOT_BYTES))
                .map(|(slot, bytes)| (slot, bytes.to_vec())),
        );
        slots
    }

    /// The last snapshot may not have been stored: the next has every slot.
    pub fn not_saved(&mut self) {
        self.recent.not_saved();
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
                rest.arrived(*arrived);
            }
            Change::Contributed { key, event } => {
                let event = event.bounded();
                return rest.in_window(*key, |windows| windows.contribute(&event));
            }
            Change::Closed { key } => {
                let fired = rest.in_window(*key, GroupWindows::close);
                return Contributed {
                    fired,
                    into_fired: false,
                };
            }
            Change::Minute { key, minute } => {
                let (touched, count) = rest.minutes.entry((*key, *minute)).or_default();
                *touched = rest.now;
                *count = count.saturating_add(1);
                bound(&mut rest.minutes, MAX_COUNTERS, rest.now, |(touched, _)| *touched);
            }
            Change::Alert { key, group } => rest.put_alert(*key, group),
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

    /// Groups with windows, in an order of their own.
    pub(super) fn groups(&self) -> Vec<u128> {
        let mut keys: Vec<u128> = self.rest.windows.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// Decides what is open of a group.
    pub(super) fn close(&mut self, key: u128) -> Vec<Fired> {
        self.change(Change::Closed { key }).fired
    }

    /// How much is remembered: (duplicates aside) groups with windows, and keys with alerts.
    #[must_use]
    pub fn size(&self) -> BTreeMap<&'static str, usize> {
        BTreeMap::from([("windows", self.rest.windows.len()), ("alerts", self.rest.alerts.len())])
    }
}

impl Rest {
    /// A record arrived. Each hour of arrivals begins with forgetting what nothing can be about any more: a live event joins
    /// no alert that old, and counts in no minute that old. Windows are not among it: a correlation's timespan may be longer.
    fn arrived(&mut self, at: i64) {
        let before = self.now;
        self.now = before.max(at);
        if self.now.div_euclid(SWEEP_EVERY) == before.div_euclid(SWEEP_EVERY) {
            return;
        }
        let now = self.now;
        let is_recent = |touched: i64| now.saturating_sub(touched) < FORGET_AFTER;
        self.minutes.retain(|_, (touched, _)| is_recent(*touched));
        self.alerts.retain(|_, (touched, _)| is_recent(*touched));
        self.weigh_alerts();
    }

    /// Does something with the windows of a group.
    fn in_window<T>(&mut self, key: u128, act: impl FnOnce(&mut GroupWindows) -> T) -> T {
        let (touched, windows) = self.windows.entry(key).or_default();
        *touched = self.now;
        let before = windows.bytes();
        let done = act(windows);
        self.window_bytes = self.window_bytes - before + windows.bytes();
        self.bound_windows(key);
        done
    }

    fn bound_windows(&mut self, key: u128) {
        if self.windows.len() > MAX_GROUPS {
            bound(&mut self.windows, MAX_GROUPS, self.now, |(touched, _)| *touched);
            self.window_bytes = self.windows.values().map(|(_, windows)| windows.bytes()).sum();
        }
        if self.window_bytes > MAX_WINDOW_BYTES {
            let weight = |windows: &(i64, GroupWindows)| windows.1.bytes();
            self.window_bytes = lighten(
                &mut self.windows,
                MAX_WINDOW_BYTES,
                key,
                |(touched, _)| *touched,
                weight,
            );
        }
    }

    fn put_alert(&mut self, key: u128, group: &AlertGroup) {
        let (touched, groups) = self.alerts.entry(key).or_default();
        *touched = self.now;
        self.alert_bytes += weigh::group(group);
        match groups.iter_mut().find(|open| open.id == group.id) {
            Some(open) => {
                self.alert_bytes -= weigh::group(open);
                *open = group.clone();
            }
            None => groups.push(group.clone()),
        }
        if groups.len() > MAX_ALERTS_OF_KEY {
            self.alert_bytes -= weigh::group(&groups.remove(0));
        }
        if self.alerts.len() > MAX_ALERTS {
            bound(&mut self.alerts, MAX_ALERTS, self.now, |(touched, _)| *touched);
            self.weigh_alerts();
        }
        if self.alert_bytes > MAX_ALERT_BYTES {
            let weight = |alerts: &(i64, Vec<AlertGroup>)| weigh::groups(&alerts.1);
            self.alert_bytes = lighten(&mut self.alerts, MAX_ALERT_BYTES, key, |(touched, _)| *touched, weight);
        }
    }

    fn weigh_alerts(&mut self) {
        self.alert_bytes = self.alerts.values().map(|(_, groups)| weigh::groups(groups)).sum();
    }
}

#[cfg(test)]
mod tests;
