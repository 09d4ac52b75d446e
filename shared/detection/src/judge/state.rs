//! What judge remembers of a partition, and how it is saved.
//!
//! Every change goes through [`JudgeState::apply`], and the changes of a batch are its delta: the same state comes back by
//! applying the deltas again to the last snapshot. Nothing in it depends on a clock; age is the arrival time of the records.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use threatstream_domain::{AlertGroup, Original};

use super::bound::{FORGET_AFTER, bound, lighten};
use super::weigh;
use super::windows::{Contributed, GroupWindows};
use crate::found::Counts;
use crate::recent::Recent;

/// Bounds of what one partition remembers; beyond them what was touched longest ago goes.
const MAX_GROUPS: usize = 50_000;
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
    /// What the alerts weigh together; likewise.
    #[serde(skip)]
    alert_bytes: usize,
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
            state.rest.weigh_alerts();
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
                rest.bound_windows(*key);
                return contributed;
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
mod tests {
    use super::*;

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

    const HOUR: i64 = 3600 * 1_000_000;

    fn alert(id: usize, names: usize) -> AlertGroup {
        let names: Vec<String> = (0..names).map(|at| format!("{at:->128}")).collect();
        AlertGroup {
            id: format!("ALT-{id}"),
            threat_id: String::new(),
            threat_ids: Vec::new(),
            title: String::new(),
            description: String::new(),
            severity: threatstream_domain::Severity::High,
            priority: threatstream_domain::Priority::P2,
            source_ips: names.clone(),
            affected_systems: names,
            mitre_attack_ids: Vec::new(),
            event_count: 1,
            first_seen: threatstream_domain::Timestamp::EPOCH,
            last_seen: threatstream_domain::Timestamp::EPOCH,
            due_at: threatstream_domain::Timestamp::EPOCH,
            created_at: threatstream_domain::Timestamp::EPOCH,
            simulated: false,
            previous_alert: None,
        }
    }

    fn put(state: &mut JudgeState, key: u128, group: AlertGroup) {
        state.change(Change::Alert { key, group });
    }

    #[test]
    fn alerts_weigh_what_they_hold_and_the_oldest_go_first() {
        let mut state = JudgeState::default();
        for key in 0..800_u32 {
            state.change(Change::Seen(key.into(), i64::from(key)));
            put(&mut state, key.into(), alert(0, 100));
            // Written again, as each event of an alert does.
            put(&mut state, key.into(), alert(0, 100));
        }
        let rest = &state.rest;
        assert!(rest.alert_bytes <= MAX_ALERT_BYTES && rest.alert_bytes > MAX_ALERT_BYTES / 2);
        assert!(state.alerts(0).is_empty() && state.alerts(799).len() == 1);
        let weight: usize = rest.alerts.values().map(|(_, groups)| weigh::groups(groups)).sum();
        assert_eq!(rest.alert_bytes, weight);
        let slots = state.snapshot();
        let saved: usize = slots.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(saved < MAX_ALERT_BYTES + (1 << 20), "{saved}");
        let restored = JudgeState::load(&slots, &[] as &[Vec<u8>]).unwrap();
        assert_eq!(restored.rest.alert_bytes, weight);
    }

    #[test]
    fn one_key_with_many_alerts_keeps_its_weight() {
        let mut state = JudgeState::default();
        for id in 0..20 {
            put(&mut state, 1, alert(id, id));
        }
        assert_eq!(state.alerts(1).len(), MAX_ALERTS_OF_KEY);
        assert_eq!(state.alerts(1)[7].id, "ALT-19");
        assert_eq!(state.rest.alert_bytes, weigh::groups(state.alerts(1)));
    }

    #[test]
    fn what_nothing_touched_for_a_day_is_forgotten_though_there_is_room() {
        let mut state = JudgeState::default();
        state.change(Change::Seen(1, 100 * HOUR));
        put(&mut state, 1, alert(1, 3));
        state.change(Change::Minute { key: 1, minute: 7 });
        state.change(Change::Seen(2, 120 * HOUR));
        put(&mut state, 2, alert(2, 3));
        assert_eq!((state.alerts(1).len(), state.in_minute(1, 7)), (1, 1));
        state.change(Change::Seen(3, 126 * HOUR));
        assert_eq!((state.alerts(1).len(), state.in_minute(1, 7)), (0, 0));
        assert_eq!(state.alerts(2).len(), 1);
        assert_eq!(state.rest.alert_bytes, weigh::groups(state.alerts(2)));
        let restored = JudgeState::load(&[] as &[(u16, Vec<u8>)], &[state.take_delta()]).unwrap();
        assert_eq!(restored.size(), state.size());
    }

    #[test]
    fn after_a_snapshot_that_was_not_stored_the_next_has_everything() {
        let mut state = JudgeState::default();
        state.change(Change::Seen(1, 1));
        let _ = state.take_delta();
        let lost = state.snapshot();
        state.not_saved();
        let slots = state.snapshot();
        assert_eq!(slots, lost);
        assert!(JudgeState::load(&slots, &[] as &[Vec<u8>]).unwrap().has_seen(1));
    }
}
