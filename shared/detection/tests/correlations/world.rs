//! Rules of a few lines, events of a few fields, and the threats that come of them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use threatstream_detection::enrich::Networks;
use threatstream_detection::judge::JudgeState;
use threatstream_detection::sigma::RuleSet;
use threatstream_detection::{Detector, Incoming, Match};
use threatstream_domain::{MarkKey, Tally, Threat, Timestamp};

/// The first moment of all tests: the beginning of a frame, whatever the timespan.
pub(crate) const EPOCH: i64 = 86_400 * 14 * 1_450;
/// When everything arrives.
pub(crate) const ARRIVAL: i64 = EPOCH + 86_400 * 30;

/// A rule that matches events whose `kind` is its name.
pub(crate) fn rule(name: &str) -> String {
    format!(
        "title: {name}\nid: id-{name}\nname: {name}\nlogsource: {{ definition: any }}\ndetection:\n    sel: {{ kind: {name} }}\n    condition: sel\n"
    )
}

/// A correlation of this name and these attributes.
pub(crate) fn correlation(name: &str, rest: &str) -> String {
    let rest = rest.replace('\n', "\n    ");
    format!("title: {name}\nid: id-{name}\nname: {name}\nlevel: high\ncorrelation:\n    {rest}\n")
}

pub(crate) fn load(texts: &[String]) -> RuleSet {
    let name = |index: usize| Cow::from(format!("{index:02}.yml"));
    RuleSet::load((0..).map(name).zip(texts.iter().map(|text| Cow::from(text.as_str()))))
}

/// Why documents are set aside.
pub(crate) fn reasons(set: &RuleSet) -> Vec<&str> {
    set.set_aside().iter().map(|aside| aside.reason.as_str()).collect()
}

/// An event: what it is known by, when it happened in seconds after the epoch of the tests, and its fields.
pub(crate) type Event = (u64, i64, Json);

/// Events in the order in which they arrive, each known by its place.
pub(crate) fn events(list: impl IntoIterator<Item = (i64, Json)>) -> Vec<Event> {
    (0..).zip(list).map(|(id, (at, fields))| (id, at, fields)).collect()
}

/// An event of a kind, of one user.
pub(crate) fn of(kind: &str) -> Json {
    json!({"kind": kind, "user": "joe"})
}

pub(crate) struct World {
    detector: Detector,
}

impl World {
    /// The rules `a` to `d`, and this correlation by the name of `c1`.
    pub(crate) fn of(attributes: &str) -> Self {
        Self::with(&[correlation("c1", attributes)])
    }

    /// The rules `a` to `d`, and more.
    pub(crate) fn with(texts: &[String]) -> Self {
        let mut all: Vec<String> = ["a", "b", "c", "d"].map(rule).to_vec();
        all.extend_from_slice(texts);
        let set = load(&all);
        assert_eq!(reasons(&set), Vec::<&str>::new());
        let detector = Detector::new(Arc::new(set), Networks::default(), MarkKey::new("key"));
        Self { detector }
    }

    pub(crate) fn matches(&self, (id, at, fields): &Event) -> Vec<Match> {
        let mut fields = fields.clone();
        fields["timestamp"] = json!(EPOCH + at);
        let value = fields.to_string();
        let incoming = Incoming {
            value: value.as_bytes(),
            mark: None,
            logged_at: Timestamp::from_secs(ARRIVAL),
            origin: ("raw", 0, *id),
        };
        let opened = self.detector.open(incoming).expect("an event");
        self.detector.examine(&opened)
    }

    /// All matches of some events.
    pub(crate) fn all(&self, events: &[Event]) -> Vec<Match> {
        events.iter().flat_map(|event| self.matches(event)).collect()
    }

    /// The threats of correlations that come of events in this order of arrival.
    pub(crate) fn threats(&self, list: impl IntoIterator<Item = (i64, Json)>) -> Vec<Threat> {
        self.judged(&events(list)).0
    }

    /// The same, with what became of the matches.
    pub(crate) fn judged(&self, events: &[Event]) -> (Vec<Threat>, Tally) {
        let mut log = Log::new(1);
        log.append(self.all(events));
        log.judge(7);
        (log.threats, log.tally)
    }
}

/// The topic of matches in partitions, each with its judge.
pub(crate) struct Log {
    pub(crate) partitions: Vec<(Vec<Match>, usize)>,
    pub(crate) states: Vec<JudgeState>,
    pub(crate) threats: Vec<Threat>,
    pub(crate) tally: Tally,
}

impl Log {
    pub(crate) fn new(partitions: usize) -> Self {
        Self {
            partitions: vec![(Vec::new(), 0); partitions],
            states: (0..partitions).map(|_| JudgeState::default()).collect(),
            threats: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn append(&mut self, matches: impl IntoIterator<Item = Match>) {
        for found in matches {
            let key = found
                .key()
                .bytes()
                .fold(7u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte));
            let partition = usize::try_from(key % self.partitions.len() as u64).expect("a partition");
            // What crosses the log is what is written and read.
            let written = serde_json::to_vec(&found).expect("JSON");
            let read: Match = serde_json::from_slice(&written).expect("a match");
            assert_eq!(read, found);
            self.partitions[partition].0.push(read);
        }
    }

    /// Judges what is left of a partition, in a batch of at most so many; false: nothing is left.
    pub(crate) fn batch(&mut self, partition: usize, most: usize) -> bool {
        let (matches, done) = &mut self.partitions[partition];
        let end = (*done + most).min(matches.len());
        if *done == end {
            return false;
        }
        let now = Timestamp::from_secs(ARRIVAL);
        let (taken, judged) = self.states[partition].judge(&matches[*done..end], &HashMap::new(), now, usize::MAX);
        *done += taken;
        self.tally.add(&judged.tally);
        let all = judged.threats.into_iter().chain(judged.suppressed);
        self.threats.extend(all.map(|(threat, _)| threat));
        self.append(judged.chained);
        true
    }

    /// Judges until nothing is left.
    pub(crate) fn judge(&mut self, most: usize) {
        let mut is_due = true;
        while is_due {
            is_due = false;
            for partition in 0..self.partitions.len() {
                is_due |= self.batch(partition, most);
            }
        }
        let matches: usize = self.partitions.iter().map(|(matches, _)| matches.len()).sum();
        let tally = &self.tally;
        let accounted = tally.stored + tally.counted + tally.suppressed + tally.duplicate;
        assert_eq!(accounted, matches as u64, "every match is accounted for");
    }

    pub(crate) fn ids(&self) -> BTreeSet<&str> {
        self.threats.iter().map(|threat| threat.id.as_str()).collect()
    }
}
