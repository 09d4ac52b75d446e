//! Both stages over a real embedded store, step by step, where the moment of a failure can be chosen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use threatstream_analyzer::judging::Judge;
use threatstream_analyzer::matching::Matcher;
use threatstream_analyzer::{Dependencies, LEASE, StageError, rules};
use threatstream_backend::conformance::hooked::{BeforeEnqueue, HookedQueue, away};
use threatstream_backend::{AlertQuery, BackendError, Backends, Durability, RESPOND_QUEUE, Record, ThreatQuery, views};
use threatstream_detection::Detector;
use threatstream_detection::enrich::Networks;
use threatstream_domain::{Clock, Envelope, Ledger, MarkKey};
use threatstream_embedded::{Options, open};

const SOON: Duration = Duration::from_millis(20);

struct World {
    _folder: tempfile::TempDir,
    backends: Backends,
    clock: Clock,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::fixed("2026-11-22T10:00:00Z".parse().expect("a time"));
        let options = Options {
            partitions: 1,
            clock: clock.clone(),
            ..Options::new(folder.path())
        };
        let backends = open(options).expect("it opens").backends();
        Self {
            _folder: folder,
            backends,
            clock,
        }
    }

    fn dependencies(&self, owner: &str) -> Dependencies {
        let rules = Arc::new(rules::load(true, None).expect("rules"));
        Dependencies {
            backends: self.backends.clone(),
            clock: self.clock.clone(),
            detector: Arc::new(Detector::new(rules, Networks::default(), MarkKey::new("key"))),
            owner: owner.to_owned(),
        }
    }

    /// Failed logins, one a second.
    async fn post(&self, ids: std::ops::Range<usize>, mark: Option<&str>) {
        let login = |id| {
            format!(
                "<38>1 2026-11-22T09:00:{id:02}Z web-1 sshd 4 - - Failed password for root from 203.0.113.7 port 5 ssh2"
            )
        };
        self.post_lines(ids, mark, login).await;
    }

    /// Injections of one address, one a second.
    async fn post_injections(&self, ids: std::ops::Range<usize>) {
        let injection = |id| {
            format!(
                "203.0.113.7 - - [22/Nov/2026:09:00:{id:02} +0000] \"GET /items?id=1%27%20UNION%20SELECT%20password%20FROM%20users-- \
                 HTTP/1.1\" 200 512 \"-\" \"Mozilla/5.0\""
            )
        };
        self.post_lines(ids, None, injection).await;
    }

    async fn post_lines(&self, ids: std::ops::Range<usize>, mark: Option<&str>, line: impl Fn(usize) -> String) {
        let records = ids
            .map(|id| {
                let raw = line(id);
                let envelope = Envelope {
                    event_id: format!("e{id}").into(),
                    format: "auto".into(),
                    received_at: self.clock.now(),
                    sender: "test".into(),
                    raw: raw.into(),
                };
                Record::of_event(&envelope, mark.map(str::to_owned))
            })
            .collect();
        self.backends
            .log
            .append(&self.backends.topics.raw, records, Durability::Promised)
            .await
            .expect("appended");
    }

    async fn ledger(&self) -> Ledger {
        views::ledger(&self.backends, self.clock.now()).await.expect("a ledger")
    }

    /// What is in the store that suppression decides: the threats' ids, how many were suppressed, and the alerts with their counts.
    async fn verdicts(&self) -> (Vec<String>, u64, Vec<(String, u64)>) {
        let store = &self.backends.store;
        let threats = ThreatQuery {
            limit: 500,
            ..ThreatQuery::default()
        };
        let mut threats: Vec<_> = store
            .threats(&threats)
            .await
            .expect("threats")
            .items
            .into_iter()
            .map(|it| it.id)
            .collect();
        threats.sort();
        let alerts = AlertQuery {
            limit: 500,
            ..AlertQuery::default()
        };
        let alerts = store.alerts(&alerts).await.expect("alerts").items;
        let mut alerts: Vec<_> = alerts
            .into_iter()
            .map(|it| (it.group.id, it.group.event_count))
            .collect();
        alerts.sort();
        (threats, self.ledger().await.judge.suppressed, alerts)
    }

    async fn tasks(&self) -> u64 {
        let depth = self.backends.tasks.depth(RESPOND_QUEUE).await.expect("a depth");
        depth.waiting.expect("a count")
    }
}

#[tokio::test]
async fn a_forged_mark_is_kept_with_its_reason() {
    let world = World::new();
    world.post(0..1, Some("SIM-1/1:00")).await;
    world.post(1..3, None).await;
    let mut matcher = Matcher::new(world.dependencies("a"), 1);
    while matcher.step(SOON).await.expect("it works") > 0 {}
    let ledger = world.ledger().await;
    assert_eq!(
        (
            ledger.matching.ingested,
            ledger.matching.dead_lettered,
            ledger.matching.matched
        ),
        (3, 1, 2)
    );
    let mut dead = world
        .backends
        .log
        .open(&world.backends.topics.dead_letters, &[(0, 0)])
        .await
        .expect("it opens");
    let read = dead.next(1 << 20, SOON).await.expect("read");
    let record = &read[0].records[0];
    let reason = record.header("dead-letter-reason").expect("a reason");
    assert!(
        String::from_utf8_lossy(reason).contains("simulation mark"),
        "{reason:?}"
    );
    assert!(
        String::from_utf8_lossy(&record.value).contains("Failed password"),
        "the event itself is kept"
    );
}

#[tokio::test]
async fn a_matcher_whose_lease_moved_commits_nothing() {
    let world = World::new();
    let mut first = Matcher::new(world.dependencies("first"), 1);
    world.post(0..5, None).await;
    assert_eq!(first.step(SOON).await.expect("it works"), 5);

    // The first sleeps past its lease; the second takes over and works on.
    world.clock.advance(LEASE + Duration::from_secs(1));
    world.post(5..10, None).await;
    let mut second = Matcher::new(world.dependencies("second"), 1);
    assert_eq!(second.step(SOON).await.expect("it works"), 5);
    world.post(10..15, None).await;

    // The first wakes with records in hand that are another's by now.
    first.step(SOON).await.expect("a lost lease is no failure");
    while second.step(SOON).await.expect("it works") > 0 {}
    let ledger = world.ledger().await;
    assert_eq!(
        (
            ledger.matching.ingested,
            ledger.matching.matched,
            ledger.matching.duplicate
        ),
        (15, 15, 0)
    );

    let mut judge = Judge::new(world.dependencies("second"), 0, 1);
    while judge.step(SOON).await.expect("it works") > 0 {}
    let ledger = world.ledger().await;
    assert_eq!(
        ledger.judge.matches,
        ledger.judge.stored + ledger.judge.counted + ledger.judge.suppressed + ledger.judge.duplicate
    );
    let threats = world.backends.store.threat_stats().await.expect("stats").total_threats;
    assert_eq!(threats, ledger.judge.stored, "each threat once");
}

/// Does not answer the first so many times.
struct Flaky(AtomicUsize);

#[async_trait]
impl BeforeEnqueue for Flaky {
    async fn before_enqueue(&self) -> Result<(), BackendError> {
        let left = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_or(Ok(()), |_| Err(away()))
    }
}

#[tokio::test]
async fn what_was_committed_and_not_published_is_published_by_the_next() {
    let mut world = World::new();
    let queue = world.backends.tasks.clone();
    world.backends.tasks = Arc::new(HookedQueue {
        inner: queue,
        hook: Flaky(AtomicUsize::new(1)),
    });
    world.post(0..8, None).await;
    let mut matcher = Matcher::new(world.dependencies("a"), 1);
    while matcher.step(SOON).await.expect("it works") > 0 {}

    let mut judge = Judge::new(world.dependencies("a"), 0, 1);
    let failed = judge.step(SOON).await;
    assert!(
        matches!(failed, Err(StageError::Backend(_))),
        "the queue did not answer: {failed:?}"
    );
    let stored = world.backends.store.threat_stats().await.expect("stats").total_threats;
    assert!(stored > 0, "the threats are committed");
    assert_eq!(world.tasks().await, 0);

    // Another process takes the partition: it finds what is unpublished in the checkpoint.
    drop(judge);
    world.clock.advance(LEASE + Duration::from_secs(1));
    let mut next = Judge::new(world.dependencies("b"), 0, 1);
    while next.step(SOON).await.expect("it works") > 0 {}
    assert_eq!(world.tasks().await, stored, "one task for each threat");
    assert_eq!(
        world.backends.store.threat_stats().await.expect("stats").total_threats,
        stored
    );

    // Given up in order, nothing is left to be published again.
    next.release().await;
    let checkpoints = world
        .backends
        .store
        .checkpoints(&world.backends.topics.matches)
        .await
        .expect("checkpoints");
    assert!(checkpoints[0].unpublished.is_empty());
}

#[tokio::test]
async fn a_clean_end_leaves_nothing_to_publish_again() {
    let world = World::new();
    world.post(0..8, None).await;
    let mut matcher = Matcher::new(world.dependencies("a"), 1);
    while matcher.step(SOON).await.expect("it works") > 0 {}
    matcher.release().await;
    let mut judge = Judge::new(world.dependencies("a"), 0, 1);
    while judge.step(SOON).await.expect("it works") > 0 {}
    judge.release().await;
    let checkpoints = world
        .backends
        .store
        .checkpoints(&world.backends.topics.matches)
        .await
        .expect("checkpoints");
    assert!(checkpoints[0].unpublished.is_empty());
    // Another need not wait for the lease to run out.
    let mut next = Matcher::new(world.dependencies("b"), 1);
    world.post(8..9, None).await;
    assert_eq!(next.step(SOON).await.expect("it works"), 1);
}

/// Matches what is there and lets a judge work it.
async fn work(matcher: &mut Matcher, judge: &mut Judge) {
    while matcher.step(SOON).await.expect("it works") > 0 {}
    while judge.step(SOON).await.expect("it works") > 0 {}
}

/// More than ten threats of one rule and one address in a minute: who judges them does not matter, nor that it changes meanwhile.
#[tokio::test]
async fn two_analyzers_suppress_as_one_does() {
    let calm = World::new();
    let mut matcher = Matcher::new(calm.dependencies("a"), 1);
    let mut judge = Judge::new(calm.dependencies("a"), 0, 1);
    for part in [0..6, 6..9, 9..20, 20..45] {
        calm.post_injections(part).await;
        work(&mut matcher, &mut judge).await;
    }
    let expected = calm.verdicts().await;
    assert!(expected.1 >= 35 && expected.0.len() >= 10, "{expected:?}");

    let world = World::new();
    let mut matcher = Matcher::new(world.dependencies("matcher"), 1);
    let mut first = Judge::new(world.dependencies("first"), 0, 1);
    let mut second = Judge::new(world.dependencies("second"), 0, 1);
    world.post_injections(0..6).await;
    work(&mut matcher, &mut first).await;
    // The first falls silent in the middle of the minute, with its counter in memory.
    world.clock.advance(LEASE + Duration::from_secs(1));
    world.post_injections(6..9).await;
    work(&mut matcher, &mut second).await;
    // It wakes while the second holds the partition, and may do nothing with what it remembers.
    world.post_injections(9..20).await;
    work(&mut matcher, &mut first).await;
    work(&mut matcher, &mut second).await;
    // And back, in order this time.
    second.release().await;
    world.post_injections(20..45).await;
    world.clock.advance(LEASE + Duration::from_secs(1));
    work(&mut matcher, &mut first).await;
    assert_eq!(world.verdicts().await, expected);
    let judged = world.ledger().await.judge;
    assert_eq!(
        judged.matches,
        judged.stored + judged.counted + judged.suppressed + judged.duplicate
    );
}

/// What makes progress keeps its partition, though nobody renews the lease meanwhile.
#[tokio::test]
async fn each_commit_prolongs_the_lease() {
    let world = World::new();
    world.post(0..8, None).await;
    let mut matcher = Matcher::new(world.dependencies("a"), 1);
    while matcher.step(SOON).await.expect("it works") > 0 {}
    let mut judge = Judge::new(world.dependencies("a"), 0, 1);
    judge.step(SOON).await.expect("it works");
    let topic = &world.backends.topics.matches;
    for part in [8..12, 12..16, 16..20] {
        // Less than half of the lease: a judge does not renew it yet.
        world.clock.advance(LEASE / 3);
        world.post(part, None).await;
        work(&mut matcher, &mut judge).await;
        let until = world.backends.store.checkpoints(topic).await.expect("checkpoints")[0].lease_until;
        assert_eq!(until, world.clock.now().plus(LEASE));
    }
}
