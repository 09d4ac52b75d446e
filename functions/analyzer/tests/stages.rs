//! Both stages over a real embedded store, step by step, where the moment of a failure can be chosen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use threatstream_analyzer::judging::Judge;
use threatstream_analyzer::matching::Matcher;
use threatstream_analyzer::{Dependencies, LEASE, StageError, rules};
use threatstream_backend::{
    BackendError, Backends, DeadTask, Delivery, Durability, Failed, QueueDepth, RESPOND_QUEUE, Record, Task, TaskQueue,
    views,
};
use threatstream_detection::Detector;
use threatstream_detection::enrich::Networks;
use threatstream_domain::{Clock, Envelope, Ledger, MarkKey, Timestamp};
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
        let records = ids
            .map(|id| {
                let raw = format!("<38>1 2026-11-22T09:00:{id:02}Z web-1 sshd 4 - - Failed password for root from 203.0.113.7 port 5 ssh2");
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

/// A queue that does not answer the first so many times it is given tasks.
struct Flaky {
    inner: Arc<dyn TaskQueue>,
    failures: AtomicUsize,
}

#[async_trait]
impl TaskQueue for Flaky {
    async fn enqueue(&self, tasks: Vec<Task>, now: Timestamp) -> Result<(), BackendError> {
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
        {
            return Err(BackendError::Unavailable {
                backend: "test",
                message: "no answer".into(),
            });
        }
        self.inner.enqueue(tasks, now).await
    }
    async fn take(
        &self,
        queue: &str,
        max: usize,
        lease: Duration,
        now: Timestamp,
        wait: Duration,
    ) -> Result<Vec<Delivery>, BackendError> {
        self.inner.take(queue, max, lease, now, wait).await
    }
    async fn complete(&self, delivery: &Delivery, now: Timestamp) -> Result<(), BackendError> {
        self.inner.complete(delivery, now).await
    }
    async fn fail(&self, delivery: &Delivery, error: &str, now: Timestamp) -> Result<Failed, BackendError> {
        self.inner.fail(delivery, error, now).await
    }
    async fn bury(&self, task: Task, attempts: u32, error: &str, now: Timestamp) -> Result<(), BackendError> {
        self.inner.bury(task, attempts, error, now).await
    }
    async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadTask>, BackendError> {
        self.inner.dead_letters(queue, limit).await
    }
    async fn depth(&self, queue: &str) -> Result<QueueDepth, BackendError> {
        self.inner.depth(queue).await
    }
    async fn check(&self) -> Result<(), BackendError> {
        self.inner.check().await
    }
}

#[tokio::test]
async fn what_was_committed_and_not_published_is_published_by_the_next() {
    let mut world = World::new();
    let queue = world.backends.tasks.clone();
    world.backends.tasks = Arc::new(Flaky {
        inner: queue,
        failures: AtomicUsize::new(1),
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
