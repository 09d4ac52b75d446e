//! The matcher over a log that gives what a test tells it to: skewed partitions, times out of order, holes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;
use threatstream_backend::{
    BackendError, Backends, Checkpoint, ClusterInfo, Durability, EventLog, LogReader, LoggedRecord, PartitionRecords,
    Position, Record, Watermarks,
};
use threatstream_detection::Detector;
use threatstream_detection::enrich::Networks;
use threatstream_detection::sigma::RuleSet;
use threatstream_domain::{Clock, MarkKey, Timestamp};
use threatstream_embedded::{Options, open};
use tokio::time::Instant;

use super::*;

/// One partition of the raw topic. Its records are blank, so that each becomes a dead letter that says where it was.
#[derive(Clone, Debug, Default)]
struct Lane {
    records: Vec<LoggedRecord>,
    /// So many records come with one read.
    a_read: usize,
    low: u64,
    /// So many offsets behind the last record hold none.
    markers: u64,
}

impl Lane {
    fn of(times: impl IntoIterator<Item = i64>, bytes: usize, a_read: usize) -> Self {
        let blank = Bytes::from(" ".repeat(bytes));
        let record = |(offset, time)| LoggedRecord {
            offset,
            timestamp: Timestamp::from_millis(time),
            key: String::new(),
            value: blank.clone(),
            headers: Vec::new(),
        };
        Self {
            records: (0..).zip(times).map(record).collect(),
            a_read,
            low: 0,
            markers: 0,
        }
    }

    fn high(&self) -> u64 {
        self.records.last().map_or(0, |last| last.offset + 1) + self.markers
    }
}

#[derive(Default)]
struct Script {
    lanes: Vec<Lane>,
    /// Retention has taken everything but what the first partition has.
    is_gone: AtomicBool,
    /// Which partitions were opened, each time.
    opened: Mutex<Vec<Vec<u32>>>,
    /// What became a dead letter, in order.
    worked: Mutex<Vec<(u32, u64)>>,
}

/// The log that a script plays.
struct Scripted(Arc<Script>);

#[async_trait]
impl EventLog for Scripted {
    async fn partitions(&self, _: &str) -> Result<u32, BackendError> {
        Ok(self.0.lanes.len() as u32)
    }
    async fn append(&self, _: &str, records: Vec<Record>, _: Durability) -> Result<Vec<Position>, BackendError> {
        let number = |record: &Record, name: &str| {
            let header = record
                .headers
                .iter()
                .find(|(key, _)| key == name)
                .expect("it says where it was");
            String::from_utf8_lossy(&header.1).parse::<u64>().expect("a number")
        };
        let place = |record: &Record| {
            let partition = number(record, "dead-letter-partition") as u32;
            (partition, number(record, "dead-letter-offset"))
        };
        self.0.worked.lock().extend(records.iter().map(place));
        Ok(Vec::new())
    }
    async fn open(&self, _: &str, from: &[(u32, u64)]) -> Result<Box<dyn LogReader>, BackendError> {
        let partitions = from.iter().map(|(partition, _)| *partition);
        self.0.opened.lock().push(partitions.collect());
        Ok(Box::new(Reading(self.0.clone(), from.to_vec())))
    }
    async fn watermarks(&self, _: &str) -> Result<Vec<Watermarks>, BackendError> {
        unreachable!("match does not ask for them")
    }
    async fn cluster(&self, _: &[String]) -> Result<ClusterInfo, BackendError> {
        unreachable!("match does not ask for it")
    }
    async fn report_progress(&self, _: &str, _: &[(u32, u64)]) -> Result<(), BackendError> {
        Ok(())
    }
    async fn check(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

struct Reading(Arc<Script>, Vec<(u32, u64)>);

#[async_trait]
impl LogReader for Reading {
    async fn next(&mut self, _: usize, _: Duration) -> Result<Vec<PartitionRecords>, BackendError> {
        let mut read = Vec::new();
        for (partition, next) in &mut self.1 {
            let lane = &self.0.lanes[*partition as usize];
            if *partition > 0 && self.0.is_gone.load(Ordering::SeqCst) {
                continue;
            }
            let rest = lane.records.iter().filter(|record| record.offset >= *next);
            let records: Vec<_> = rest.take(lane.a_read).cloned().collect();
            let end = match records.last() {
                Some(last) => last.offset + 1,
                // As a reader that comes to the end, behind offsets that hold no record.
                None if *next < lane.high() => lane.high(),
                None => continue,
            };
            *next = end;
            read.push(PartitionRecords {
                partition: *partition,
                records,
                next_offset: end,
                watermarks: Watermarks {
                    low: lane.low,
                    high: lane.high(),
                },
            });
        }
        Ok(read)
    }
}

struct World {
    _folder: tempfile::TempDir,
    backends: Backends,
    script: Arc<Script>,
    matcher: Matcher,
}

impl World {
    fn new(lanes: Vec<Lane>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let partitions = lanes.len() as u32;
        let clock = Clock::fixed("2026-11-22T10:00:00Z".parse().expect("a time"));
        let options = Options {
            partitions,
            clock: clock.clone(),
            ..Options::new(folder.path())
        };
        let mut backends = open(options).expect("it opens").backends();
        let script = Arc::new(Script {
            lanes,
            ..Script::default()
        });
        backends.log = Arc::new(Scripted(script.clone()));
        let rules = Arc::new(RuleSet::load(std::iter::empty()));
        let dependencies = Dependencies {
            backends: backends.clone(),
            clock,
            detector: Arc::new(Detector::new(rules, Networks::default(), MarkKey::new("key"))),
            owner: "a".to_owned(),
        };
        Self {
            _folder: folder,
            backends,
            script,
            matcher: Matcher::new(dependencies, partitions),
        }
    }

    async fn step(&mut self) -> usize {
        self.matcher.step(Duration::ZERO).await.expect("it works")
    }

    /// Works everything, within the bound at every step.
    async fn work(&mut self) {
        let all: usize = self.script.lanes.iter().map(|lane| lane.records.len()).sum();
        for _ in 0..=3 * all {
            self.step().await;
            let bytes = self.matcher.waiting_bytes();
            assert!(bytes <= self.matcher.waiting_limit, "{bytes} bytes wait");
            if self.worked().len() >= all {
                break;
            }
        }
    }

    fn worked(&self) -> Vec<(u32, u64)> {
        self.script.worked.lock().clone()
    }

    async fn checkpoints(&self) -> Vec<Checkpoint> {
        let topic = &self.backends.topics.raw;
        self.backends.store.checkpoints(topic).await.expect("checkpoints")
    }

    /// Every record, in the order of times.
    fn in_order(&self) -> Vec<(u32, u64)> {
        let mut turns = Vec::new();
        for (partition, lane) in (0u32..).zip(&self.script.lanes) {
            let turn = |record: &LoggedRecord| (record.timestamp, partition, record.offset);
            turns.extend(lane.records.iter().map(turn));
        }
        turns.sort_unstable();
        turns
            .into_iter()
            .map(|(_, partition, offset)| (partition, offset))
            .collect()
    }
}

/// Runs a case of a property.
fn block_on(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(case);
}

#[tokio::test]
async fn a_slow_partition_does_not_make_the_others_pile_up() {
    let slow = Lane::of((0..60).map(|at| at * 100), 10, 1);
    let fast = || Lane::of((0..600).map(|at| at * 10), 1000, 50);
    let mut world = World::new(vec![slow, fast(), fast()]);
    world.matcher.waiting_limit = 40_000;
    world.work().await;
    assert!(world.worked() == world.in_order(), "not in order, not all, or not once");
    let opened = world.script.opened.lock().clone();
    assert!(opened.contains(&vec![0]), "the slow one was not read alone: {opened:?}");
    assert!(opened.len() < 100, "opened {} times", opened.len());
    for (checkpoint, lane) in world.checkpoints().await.iter().zip(&world.script.lanes) {
        assert_eq!((checkpoint.next_offset, checkpoint.lost), (lane.high(), 0));
    }
}

#[tokio::test]
async fn what_was_dropped_and_is_gone_is_not_waited_for_for_ever() {
    let slow = Lane::of((0..20).map(|at| at * 100), 10, 1);
    let mut world = World::new(vec![slow, Lane::of((0..200).map(|at| at * 10), 1000, 100)]);
    world.matcher.waiting_limit = 40_000;
    world.step().await;
    assert!(world.matcher.reader.is_none(), "it is over its bound");
    world.script.is_gone.store(true, Ordering::SeqCst);
    for _ in 0..40 {
        world.step().await;
        if let Some(since) = &mut world.matcher.silent_since {
            *since = Instant::now().checked_sub(Duration::from_secs(60)).expect("an instant");
        }
    }
    let slow = world
        .worked()
        .into_iter()
        .filter(|(partition, _)| *partition == 0)
        .count();
    assert_eq!(slow, 20);
    assert!(!world.matcher.has_pending());
}

#[tokio::test]
async fn offsets_that_never_were_a_record_are_not_lost() {
    let mut holed = Lane::of([1, 2, 3], 1, 10);
    for (record, offset) in holed.records.iter_mut().zip([2, 5, 9]) {
        record.offset = offset;
    }
    let mut cut = holed.clone();
    cut.low = 4;
    cut.records.remove(0);
    let mut world = World::new(vec![holed, cut]);
    world.work().await;
    let checkpoints = world.checkpoints().await;
    let counts = |at: usize| {
        let checkpoint = &checkpoints[at];
        (checkpoint.next_offset, checkpoint.lost, checkpoint.tally.skipped)
    };
    assert_eq!((counts(0), counts(1)), ((10, 0, 7), (10, 4, 4)));
}

/// A producer's transaction ends with a marker, which takes an offset and is no record.
#[tokio::test]
async fn markers_behind_the_last_record_leave_no_lag() {
    let marked = |records: i64, markers| Lane {
        markers,
        ..Lane::of((0..records).map(|at| at * 10), 10, 2)
    };
    let mut world = World::new(vec![marked(5, 1), marked(0, 3), marked(4, 0)]);
    for _ in 0..10 {
        world.step().await;
    }
    let checkpoints = world.checkpoints().await;
    let counts: Vec<_> = checkpoints
        .iter()
        .map(|checkpoint| {
            (
                checkpoint.next_offset,
                checkpoint.tally.dead_lettered,
                checkpoint.tally.skipped,
            )
        })
        .collect();
    assert_eq!(counts, [(6, 5, 1), (3, 0, 3), (4, 4, 0)]);
    assert!(checkpoints.iter().all(|checkpoint| checkpoint.lost == 0));
    assert_eq!(world.worked().len(), 9, "each record once");
}

#[tokio::test]
async fn records_dropped_to_save_memory_are_not_taken_for_markers() {
    let slow = Lane::of((0..20).map(|at| at * 100), 10, 1);
    let fast = Lane {
        markers: 2,
        ..Lane::of((0..200).map(|at| at * 10), 1000, 100)
    };
    let mut world = World::new(vec![slow, fast]);
    world.matcher.waiting_limit = 40_000;
    world.work().await;
    world.step().await;
    assert!(world.worked() == world.in_order(), "not in order, not all, or not once");
    let checkpoints = world.checkpoints().await;
    let ends: Vec<_> = checkpoints
        .iter()
        .map(|it| (it.next_offset, it.tally.skipped))
        .collect();
    assert_eq!(ends, [(20, 0), (202, 2)]);
}

prop_compose! {
    fn lane()(gaps in prop::collection::vec(0i64..6, 0..60), bytes in 1usize..400, a_read in 1usize..40) -> Lane {
        let mut time = 1_000;
        Lane::of(gaps.into_iter().map(|gap| { time += gap; time }).collect::<Vec<_>>(), bytes, a_read)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_order_is_that_of_times_however_little_may_wait(
        lanes in prop::collection::vec(lane(), 1..5),
        limit in 200usize..8_000,
    ) {
        block_on(async {
            let mut world = World::new(lanes);
            world.matcher.waiting_limit = limit;
            world.work().await;
            assert_eq!(world.worked(), world.in_order());
        });
    }

    #[test]
    fn times_that_run_backwards_lose_nothing_and_count_nothing_twice(
        times in prop::collection::vec(prop::collection::vec(0i64..50, 0..30), 3),
        offered in prop::collection::vec(0usize..40, 3),
        limit in 200usize..8_000,
    ) {
        block_on(async {
            let lanes: Vec<_> = times.into_iter().map(|times| Lane::of(times, 20, 7)).collect();
            let mut world = World::new(lanes.clone());
            world.matcher.waiting_limit = limit;
            world.matcher.hold().await.expect("leases");
            for (partition, (lane, count)) in (0..).zip(lanes.iter().zip(offered)) {
                world.matcher.offer(partition, lane.records.iter().take(count).cloned().collect());
            }
            world.work().await;
            let worked = world.worked();
            for (partition, lane) in (0..).zip(&lanes) {
                let offsets = worked.iter().filter(|(of, _)| *of == partition).map(|(_, offset)| *offset);
                assert_eq!(offsets.collect::<Vec<_>>(), (0..lane.high()).collect::<Vec<_>>());
            }
            for checkpoint in world.checkpoints().await {
                let high = lanes[checkpoint.partition as usize].high();
                assert_eq!((checkpoint.next_offset, checkpoint.lost), (high, 0));
            }
        });
    }
}
