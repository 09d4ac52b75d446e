//! The judge over a real embedded store whose file is made to refuse.

use std::sync::Arc;

use threatstream_backend::{Backends, Record, SavedState};
use threatstream_detection::Detector;
use threatstream_detection::enrich::Networks;
use threatstream_detection::judge::Judged;
use threatstream_domain::{Clock, Envelope, MarkKey};
use threatstream_embedded::{Options, open};

mod chains;

use super::*;
use crate::LEASE;
use crate::matching::Matcher;

const SOON: Duration = Duration::from_millis(20);

struct World {
    folder: tempfile::TempDir,
    backends: Backends,
    clock: Clock,
}

impl World {
    fn new() -> Self {
        Self::of(1)
    }

    fn of(partitions: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed("2026-11-22T10:00:00Z".parse().unwrap());
        let options = Options {
            partitions,
            clock: clock.clone(),
            ..Options::new(folder.path())
        };
        let backends = open(options).unwrap().backends();
        Self {
            folder,
            backends,
            clock,
        }
    }

    fn dependencies(&self, owner: &str) -> Dependencies {
        let rules = Arc::new(crate::rules::load(true, None).unwrap());
        Dependencies {
            backends: self.backends.clone(),
            clock: self.clock.clone(),
            detector: Arc::new(Detector::new(rules, Networks::default(), MarkKey::new("key"))),
            owner: owner.to_owned(),
        }
    }

    fn judge(&self, owner: &str) -> Judge {
        Judge::new(self.dependencies(owner), 0, 1)
    }

    /// Failed logins become matches: how many.
    async fn match_logins(&self, ids: std::ops::Range<usize>) -> u64 {
        let lines = ids.map(|id| {
            let raw = format!(
                "<38>1 2026-11-22T09:00:{id:02}Z web-1 sshd 4 - - Failed password for root from 203.0.113.7 port 5 ssh2"
            );
            (id, raw)
        });
        self.match_lines(lines).await
    }

    /// Lines, each with what it is known by, become matches: how many are in the first partition.
    async fn match_lines(&self, lines: impl Iterator<Item = (usize, String)>) -> u64 {
        let records = lines
            .map(|(id, raw)| {
                let envelope = Envelope {
                    event_id: format!("e{id}").into(),
                    format: "auto".into(),
                    received_at: self.clock.now(),
                    sender: "test".into(),
                    raw: raw.into(),
                };
                Record::of_event(&envelope, None)
            })
            .collect();
        let (log, topics) = (&self.backends.log, &self.backends.topics);
        log.append(&topics.raw, records, Durability::Promised).await.unwrap();
        let partitions = log.partitions(&topics.raw).await.unwrap();
        let mut matcher = Matcher::new(self.dependencies("matcher"), partitions);
        while matcher.step(SOON).await.unwrap() > 0 {}
        matcher.release().await;
        log.watermarks(&topics.matches).await.unwrap()[0].high
    }

    /// What is to be so in the store's file from now on.
    fn execute(&self, sql: &str) {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let mut files = files.map(|file| file.unwrap().path());
        let file = files
            .find(|file| file.extension().is_some_and(|it| it == "db"))
            .unwrap();
        let db = rusqlite::Connection::open(file).unwrap();
        db.busy_timeout(Duration::from_secs(10)).unwrap();
        db.execute_batch(sql).unwrap();
    }

    async fn lease_until(&self) -> Timestamp {
        let topic = &self.backends.topics.matches;
        self.backends.store.checkpoints(topic).await.unwrap()[0].lease_until
    }
}

#[tokio::test]
async fn a_commit_that_is_rejected_is_made_in_smaller_ones() {
    let world = World::new();
    let matches = world.match_logins(0..40).await;
    assert!(matches >= 8);
    world.execute(
        "CREATE TRIGGER too_large BEFORE UPDATE OF next_offset ON lease WHEN NEW.next_offset > OLD.next_offset + 2
         BEGIN SELECT RAISE(ABORT, 'the commit is too large'); END",
    );
    let mut judge = world.judge("a");
    while judge.step(SOON).await.unwrap() > 0 {}
    let topic = &world.backends.topics.matches;
    let end = world.backends.log.watermarks(topic).await.unwrap()[0].high;
    assert_eq!(end, matches + 1, "and once what another correlation counts");
    assert_eq!(judge.next_offset(), Some(end));
    let tally = world.backends.store.checkpoints(topic).await.unwrap()[0].tally;
    let judged = tally.stored + tally.counted + tally.suppressed;
    assert_eq!((judged, tally.duplicate), (end, 0), "each once, whatever was tried");
}

#[tokio::test]
async fn what_is_rejected_by_itself_is_an_error() {
    let world = World::new();
    world.match_logins(0..8).await;
    world.execute(
        "CREATE TRIGGER never BEFORE UPDATE OF next_offset ON lease WHEN NEW.next_offset > OLD.next_offset
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    let mut judge = world.judge("a");
    let failed = judge.step(SOON).await;
    assert!(matches!(failed, Err(StageError::Backend(_))), "{failed:?}");
}

#[tokio::test]
async fn a_state_that_cannot_be_compacted_stops_nothing() {
    let world = World::new();
    world.execute(
        "CREATE TRIGGER no_slots BEFORE INSERT ON state_slot WHEN NEW.topic = 'security.matches'
         BEGIN SELECT RAISE(ABORT, 'the state is too large'); END",
    );
    let mut matches = world.match_logins(0..4).await;
    let mut judge = world.judge("a");
    while judge.step(SOON).await.unwrap() > 0 {}
    judge.held.as_mut().unwrap().restore(&deltas(128)).unwrap();
    for round in 1..6 {
        matches = world.match_logins(4 * round..4 * round + 4).await;
        while judge.step(SOON).await.unwrap() > 0 {}
    }
    assert_eq!(judge.next_offset(), Some(matches));
    assert!(
        !judge.held.as_ref().unwrap().must_compact(),
        "it failed, and is left for later"
    );
}

/// So many deltas without a change in them.
fn deltas(count: usize) -> SavedState {
    SavedState {
        slots: Vec::new(),
        deltas: vec![bytes::Bytes::from_static(b"\xF6TS\x02\0"); count],
    }
}

#[tokio::test]
async fn many_small_deltas_are_compacted_and_a_failure_is_tried_again_later() {
    let world = World::new();
    let mut judge = world.judge("a");
    judge.hold().await.unwrap();
    let id = judge.id();
    let held = judge.held.as_mut().unwrap();
    held.restore(&deltas(127)).unwrap();
    assert!(!held.must_compact());
    held.restore(&deltas(128)).unwrap();
    for pause in [16, 32] {
        assert!(held.must_compact());
        held.not_compacted();
        for _ in 0..pause {
            assert!(!held.must_compact());
            let _ = held.commit(id.clone(), "b".into(), 0, 0, Judged::default(), world.clock.now());
        }
    }
    assert!(held.must_compact());
    held.compacted("b".into(), 100, Timestamp::EPOCH);
    assert!(!held.must_compact());
}

#[tokio::test]
async fn a_lease_is_renewed_when_less_than_half_of_it_is_left() {
    let world = World::new();
    let mut judge = world.judge("a");
    judge.hold().await.unwrap();
    let taken = world.lease_until().await;
    world.clock.advance(LEASE / 2);
    judge.hold().await.unwrap();
    assert_eq!(world.lease_until().await, taken);
    world.clock.advance(Duration::from_millis(1));
    judge.hold().await.unwrap();
    assert_eq!(world.lease_until().await, world.clock.now().plus(LEASE));

    // One that slept past its lease finds that it is another's.
    world.clock.advance(LEASE);
    let mut other = world.judge("b");
    other.hold().await.unwrap();
    assert!(other.next_offset().is_some());
    judge.hold().await.unwrap();
    assert!(judge.next_offset().is_none());
}
