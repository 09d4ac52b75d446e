//! Which alert a threat belongs to, and what it adds to it.

use std::time::Duration;

use threatstream_domain::{AlertGroup, Original, Priority, Severity, Threat, Timestamp, derived_id};

use super::state::{Change, JudgeState};
use super::{Batch, alert_key, weigh};
use crate::found::Match;

/// A threat joins an alert whose events are no further from its own than this.
const ALERT_GAP: Duration = Duration::from_secs(3600);
/// An alert spans no more than this; what goes on longer gets another.
const ALERT_SPAN: Duration = Duration::from_secs(24 * 3600);
/// Threats, addresses and systems that an alert names.
const ALERT_NAMES: usize = 100;

/// An alert as it is to be written.
pub(super) struct Touched {
    pub(super) group: AlertGroup,
    /// This batch opened it.
    pub(super) opened: bool,
    /// What the group weighs.
    bytes: usize,
}

impl Batch<'_> {
    /// The alert that what happened then belongs to, if it is open.
    fn open_alert<'s>(&self, state: &'s JudgeState, key: u128, at: Timestamp) -> Option<&'s AlertGroup> {
        let mut groups = state.alerts(key).iter().rev();
        groups.find(|group| in_reach(group, at) && !self.is_closed(&group.id))
    }

    pub(super) fn founds_alert(&self, state: &JudgeState, found: &Match, threat: &Threat) -> bool {
        Priority::of(threat.severity).is_some() && self.open_alert(state, alert_key(found), threat.timestamp).is_none()
    }

    pub(super) fn join_alert(
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
    pub(super) fn count_in_alert(&mut self, state: &mut JudgeState, found: &Match) {
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
