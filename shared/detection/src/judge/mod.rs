//! The second stage: what matches amount to. Duplicates out, correlate, suppress, score, group.
//!
//! A batch of matches of one partition goes in with the partition's state and the analysts' part of the alerts it may touch;
//! threats, alerts, counters and the state's delta come out. Nothing is stored here.

mod alerts;
mod bound;
mod chain;
mod score;
mod state;
mod weigh;
mod windows;

use std::collections::{BTreeMap, HashMap};

use threatstream_domain::{
    Alert, AlertCase, AlertGroup, Frame, FrameKind, MinuteStats, Original, Tally, Threat, Timestamp,
};

pub use state::{JudgeState, UnreadableState};

use crate::found::{Match, Window, digest};
use alerts::Touched;
use score::Cause;
use state::Change;
use windows::{Contribution, Fired};

/// Threats of one rule and one entity that are stored in a minute of event time; the others count in the alert alone.
pub const THREATS_A_MINUTE: u32 = 10;
/// A batch is full when this much is to be written, its part of the state included. What the last match of a batch adds beyond
/// comes on top: a commit stays below 8 MiB.
const BATCH_BYTES: usize = 6 << 20;

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
        self.bytes += 256 + event.original.raw.len() + event.whole.as_ref().map_or(0, weigh::json);
        let contributed = state.change(Change::Contributed {
            key: window_key(found, window),
            event,
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
