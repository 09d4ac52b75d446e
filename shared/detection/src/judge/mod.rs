//! The second stage: what matches amount to. Duplicates out, correlate, suppress, score, group.
//!
//! A batch of matches of one partition goes in with the partition's state and the analysts' part of the alerts it may touch;
//! threats, alerts, counters and the state's delta come out. Nothing is stored here.

mod bound;
mod chain;
mod score;
mod state;
mod weigh;
mod windows;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use threatstream_domain::{
    Alert, AlertCase, AlertGroup, Frame, FrameKind, MinuteStats, Original, Priority, Severity, Tally, Threat,
    Timestamp, derived_id,
};

pub use state::{JudgeState, UnreadableState};

use crate::found::{Match, Window, digest};
use score::Cause;
use state::Change;
use windows::{Contribution, Fired};

/// Threats of one rule and one entity that are stored in a minute of event time; the others count in the alert alone.
pub const THREATS_A_MINUTE: u32 = 10;
/// A threat joins an alert whose events are no further from its own than this.
const ALERT_GAP: Duration = Duration::from_secs(3600);
/// An alert spans no more than this; what goes on longer gets another.
const ALERT_SPAN: Duration = Duration::from_secs(24 * 3600);
/// A batch is full when this much is to be written, its part of the state included. What the last match of a batch adds beyond
/// comes on top: a commit stays below 8 MiB.
const BATCH_BYTES: usize = 6 << 20;
/// Threats, addresses and systems that an alert names.
const ALERT_NAMES: usize = 100;

/// What a batch came to.
#[derive(Debug, Default)]
pub struct Judged {
    /// Threats to store, with the originals behind each.
    pub threats: Vec<(Threat, Vec<Original>)>,
    /// Threats that were one too many in their minute: not stored, counted in their alerts.
    pub suppressed: Vec<(Threat, Vec<Original>)>,
    /// Alerts to write, with the version of the analysts' part each was judged on.
    pub alerts: Vec<(AlertGroup, u64)>,
    /// Windows that fired and that other correlations count: matches of these. They go where [`Match::key`] says before the batch
    /// is committed: the same records make the same ones, and again they are duplicates.
    pub chained: Vec<Match>,
    /// What dashboards are told.
    pub frames: Vec<Frame>,
    /// What became of the matches.
    pub tally: Tally,
    /// Counters of the minute.
    pub minute: MinuteStats,
}

impl JudgeState {
    /// The alerts that these matches may join: whose analysts' part [`JudgeState::judge`] needs.
    #[must_use]
    pub fn alerts_of<'a>(&self, matches: impl IntoIterator<Item = &'a Match>) -> Vec<String> {
        let mut ids: Vec<String> = matches
            .into_iter()
            .flat_map(|found| self.alerts(alert_key(found)).iter().map(|group| group.id.clone()))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Judges matches in the order given, until the batch is full (`limit` threats): how many were taken, and what they came
    /// to. `now` is when the verdicts are stored.
    pub fn judge(
        &mut self,
        matches: &[Match],
        cases: &HashMap<String, AlertCase>,
        now: Timestamp,
        limit: usize,
    ) -> (usize, Judged) {
        let mut batch = Batch::new(cases, now);
        let mut taken = 0;
        for found in matches {
            if batch.judged.threats.len() >= limit || batch.bytes > BATCH_BYTES {
                break;
            }
            batch.take(self, found);
            taken += 1;
        }
        (taken, batch.finish())
    }

    /// Decides all windows that only an event beyond their end would decide: what was read is all there is, as with a file. What
    /// they feed is in [`Judged::chained`], and may open windows anew.
    pub fn end(&mut self, cases: &HashMap<String, AlertCase>, now: Timestamp) -> Judged {
        let mut batch = Batch::new(cases, now);
        for key in self.groups() {
            for mut fired in self.close(key) {
                if let Some(latest) = fired.latest.take() {
                    let stored = batch.fired(self, &latest, fired);
                    batch.judged.tally.stored += u64::from(stored == Some(true));
                }
            }
        }
        batch.finish()
    }
}

struct Batch<'a> {
    judged: Judged,
    /// How many bytes a commit of it writes: threats and alerts, each with its frame, and the changes of the state.
    bytes: usize,
    /// Alerts touched, by id. The state may have let go of them by the end of the batch.
    touched: BTreeMap<String, Touched>,
    cases: &'a HashMap<String, AlertCase>,
    now: Timestamp,
}

/// An alert as it is to be written.
struct Touched {
    group: AlertGroup,
    /// This batch opened it.
    opened: bool,
    /// What the group weighs.
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn new(cases: &'a HashMap<String, AlertCase>, now: Timestamp) -> Self {
        let mut judged = Judged::default();
        judged.minute.minute = now.minute();
        Self {
            judged,
            bytes: 0,
            touched: BTreeMap::new(),
            cases,
            now,
        }
    }

    fn take(&mut self, state: &mut JudgeState, found: &Match) {
        let key = found.duplicate_key();
        if state.has_seen(key) {
            self.judged.tally.duplicate += 1;
            return;
        }
        // An arrival that lies in the future would make everything else look old.
        let arrived = found.event.received_at.min(self.now);
        state.change(Change::Seen(key, arrived.as_micros()));
        let Some(window) = &found.window else {
            let threat = score::threat(found, &Cause::Event, self.now);
            let stored = self.threat(state, found, threat);
            *(if stored {
                &mut self.judged.tally.stored
            } else {
                &mut self.judged.tally.suppressed
            }) += 1;
            return;
        };
        let event = contribution(found, window, key);
        self.bytes += 256 + event.original.raw.len() + event.whole.as_ref().map_or(0, |whole| weigh::json(whole));
        let contributed = state.change(Change::Contributed {
            key: window_key(found, window),
            event: Box::new(event),
        });
        let (mut any_stored, mut any_threat) = (false, false);
        for mut fired in contributed.fired {
            let latest = fired.latest.take();
            let stored = self.fired(state, latest.as_deref().unwrap_or(found), fired);
            any_stored |= stored == Some(true);
            any_threat |= stored.is_some();
        }
        let tally = &mut self.judged.tally;
        *(match (any_stored, any_threat) {
            (true, _) => &mut tally.stored,
            (false, true) => &mut tally.suppressed,
            (false, false) => &mut tally.counted,
        }) += 1;
        if !any_threat && contributed.into_fired && window.alone {
            self.count_in_alert(state, found);
        }
    }

    /// A window fired: it is a threat, or others count it, or both. Whether its threat is stored; `None`: it is none.
    fn fired(&mut self, state: &mut JudgeState, found: &Match, fired: Fired) -> Option<bool> {
        let window = found.window.as_ref()?;
        self.judged.chained.extend(chain::matches(found, window, &fired));
        if !window.alone {
            return None;
        }
        let threat = score::threat(found, &Cause::Window(window, fired), self.now);
        Some(self.threat(state, found, threat))
    }

    /// Stores or suppresses a threat, and counts it in its alert. True: stored.
    fn threat(&mut self, state: &mut JudgeState, found: &Match, (threat, originals): (Threat, Vec<Original>)) -> bool {
        let key = suppression_key(found);
        let minute = threat.timestamp.minute();
        // The threat that an alert is founded on is stored however many there are: the alert names it.
        let stored = state.in_minute(key, minute) < THREATS_A_MINUTE || self.founds_alert(state, found, &threat);
        state.change(Change::Minute { key, minute });
        self.join_alert(state, found, &threat, &originals, stored);
        if !stored {
            self.judged.suppressed.push((threat, originals));
            return false;
        }
        let minute = &mut self.judged.minute;
        if threat.simulated {
            minute.simulated_threats += 1;
        } else {
            minute.threats[threat.severity as usize] += 1;
            minute.detect_ms += threat.processing_time_ms;
            minute.detected += 1;
        }
        self.bytes += weigh::originals(&originals);
        if let Ok(frame) = Frame::new(FrameKind::NewThreat, Some(threat.severity), &threat) {
            self.bytes += weigh::threat(frame.data.get().len());
            self.judged.frames.push(frame);
        }
        self.judged.threats.push((threat, originals));
        true
    }

    /// The alert that what happened then belongs to, if it is open.
    fn open_alert<'s>(&self, state: &'s JudgeState, key: u128, at: Timestamp) -> Option<&'s AlertGroup> {
        let mut groups = state.alerts(key).iter().rev();
        groups.find(|group| in_reach(group, at) && !self.is_closed(&group.id))
    }

    fn founds_alert(&self, state: &JudgeState, found: &Match, threat: &Threat) -> bool {
        Priority::of(threat.severity).is_some() && self.open_alert(state, alert_key(found), threat.timestamp).is_none()
    }

    fn join_alert(
        &mut self,
        state: &mut JudgeState,
        found: &Match,
        threat: &Threat,
        originals: &[Original],
        stored: bool,
    ) {
        let Some(priority) = Priority::of(threat.severity) else {
            return;
        };
        let key = alert_key(found);
        let at = threat.timestamp;
        let (mut group, opened) = match self.open_alert(state, key, at) {
            Some(group) => (group.clone(), false),
            None => {
                let previous = state.alerts(key).iter().rev().find(|group| self.is_closed(&group.id));
                let group = new_alert(
                    found,
                    threat,
                    priority,
                    previous.map(|group| group.id.clone()),
                    self.now,
                );
                // An alert that the state has let go of comes back under its id: it is there already, and only moves on.
                let opened = !self.cases.contains_key(&group.id) && !self.touched.contains_key(&group.id);
                self.judged.minute.alerts += u64::from(opened);
                (group, opened)
            }
        };
        if threat.severity > group.severity {
            group.severity = threat.severity;
            group.priority = priority;
            group.due_at = group.due_at.min(self.now.plus(priority.response_time()));
        }
        if stored {
            push_bounded(&mut group.threat_ids, Some(&threat.id));
        }
        push_bounded(&mut group.source_ips, threat.source_ip.as_ref());
        push_bounded(
            &mut group.affected_systems,
            threat.host.as_ref().or(threat.destination_ip.as_ref()),
        );
        push_bounded(&mut group.mitre_attack_ids, threat.mitre_attack_id.as_ref());
        group.event_count = group.event_count.saturating_add(threat.event_count);
        // Which of its events completed a threat depends on the order of their arrival; when they began and ended does not.
        for seen in originals.iter().map(|original| original.timestamp).chain([at]) {
            group.first_seen = group.first_seen.min(seen);
            group.last_seen = group.last_seen.max(seen);
        }
        self.write(state, key, group, opened);
    }

    /// Counts an event that went on after its window had fired.
    fn count_in_alert(&mut self, state: &mut JudgeState, found: &Match) {
        let key = alert_key(found);
        let at = found.event.timestamp;
        if let Some(mut group) = self.open_alert(state, key, at).cloned() {
            group.event_count = group.event_count.saturating_add(1);
            group.first_seen = group.first_seen.min(at);
            group.last_seen = group.last_seen.max(at);
            self.write(state, key, group, false);
        }
    }

    fn write(&mut self, state: &mut JudgeState, key: u128, group: AlertGroup, opened: bool) {
        let bytes = weigh::group(&group);
        let case = || self.cases.get(&group.id).map_or(0, weigh::json);
        // However often it is written, it is stored once and told of once, together with the analysts' part.
        self.bytes += match self.touched.get(&group.id) {
            Some(touched) => 2 * bytes.saturating_sub(touched.bytes),
            None => 2 * bytes + case(),
        };
        // Each time it is in the state's delta.
        self.bytes += bytes;
        let group_to_write = group.clone();
        match self.touched.get_mut(&group.id) {
            Some(touched) => (touched.group, touched.bytes) = (group_to_write, bytes),
            None => {
                let touched = Touched {
                    group: group_to_write,
                    opened,
                    bytes,
                };
                self.touched.insert(group.id.clone(), touched);
            }
        }
        state.change(Change::Alert { key, group });
    }

    fn is_closed(&self, id: &str) -> bool {
        self.cases.get(id).is_some_and(|case| case.status.is_closed())
    }

    fn finish(mut self) -> Judged {
        for (id, Touched { group, opened, .. }) in std::mem::take(&mut self.touched) {
            let case = self.cases.get(&id).cloned().unwrap_or_default();
            let kind = if opened {
                FrameKind::NewAlert
            } else {
                FrameKind::AlertUpdate
            };
            let version = case.version;
            let alert = Alert { group, case };
            if let Ok(frame) = Frame::new(kind, Some(alert.group.severity), &alert) {
                self.judged.frames.push(frame);
            }
            self.judged.alerts.push((alert.group, version));
        }
        self.judged
    }
}

fn in_reach(group: &AlertGroup, at: Timestamp) -> bool {
    let (first, last) = (group.first_seen.min(at), group.last_seen.max(at));
    at >= group.first_seen.minus(ALERT_GAP) && at <= group.last_seen.plus(ALERT_GAP) && last.since(first) <= ALERT_SPAN
}

fn new_alert(
    found: &Match,
    threat: &Threat,
    priority: Priority,
    previous_alert: Option<String>,
    now: Timestamp,
) -> AlertGroup {
    // An alert of a correlation gathers that correlation's threats; any other gathers a type's.
    let what = if found.window.is_some() {
        &found.verdict.title
    } else {
        threat.threat_type.label()
    };
    AlertGroup {
        id: derived_id("ALT", &[&threat.id]),
        threat_id: threat.id.clone(),
        threat_ids: Vec::new(),
        title: format!("{what} from {}", found.entity),
        description: threat.description.clone(),
        severity: Severity::Info,
        priority,
        source_ips: Vec::new(),
        affected_systems: Vec::new(),
        mitre_attack_ids: Vec::new(),
        event_count: 0,
        first_seen: threat.timestamp,
        last_seen: threat.timestamp,
        due_at: now.plus(priority.response_time()),
        created_at: now,
        simulated: threat.simulated,
        previous_alert,
    }
}

fn push_bounded(list: &mut Vec<String>, item: Option<&String>) {
    if let Some(item) = item
        && !list.contains(item)
    {
        if list.len() == ALERT_NAMES {
            list.remove(0);
        }
        list.push(item.clone());
    }
}

fn drill(found: &Match) -> &'static str {
    if found.simulation_id.is_some() { "drill" } else { "real" }
}

/// What an alert gathers is what a record's key gathers, so that one partition is its only writer.
fn alert_key(found: &Match) -> u128 {
    digest(&["alert", &found.key()])
}

fn suppression_key(found: &Match) -> u128 {
    digest(&["minute", drill(found), &found.verdict.id, &found.entity])
}

fn window_key(found: &Match, window: &Window) -> u128 {
    digest(&["window", &found.key(), &window.shape()])
}

fn contribution(found: &Match, window: &Window, key: u128) -> Contribution {
    let at_once = window.condition.is_decided_at_once();
    Contribution {
        counts: window.counts.clone(),
        condition: window.condition.clone(),
        timespan: window.timespan_micros(),
        at: found.event.timestamp.as_micros(),
        #[expect(clippy::cast_possible_truncation, reason = "half of a digest is as good as chance")]
        print: key as u64,
        rule: found.rule_id.clone(),
        original: found.event.original(),
        whole: (!at_once).then(|| Box::new(found.clone())),
    }
}

#[cfg(test)]
mod tests;
