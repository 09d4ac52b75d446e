//! `POST /drain`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use threatstream_analyzer::judging::Judge;
use threatstream_analyzer::matching::Matcher;
use threatstream_analyzer::{LEASE, Mode};
use threatstream_backend::{DRAIN_QUEUE, Durability, PartitionId, Record, ThreatQuery};
use threatstream_domain::{Threat, Timestamp};
use threatstream_simulator::{generate, scenario};

use crate::world::{World, event, failed_login};

const SOON: Duration = Duration::from_millis(20);

fn counts(report: &Value) -> (&str, u64, u64) {
    (
        report["status"].as_str().expect("a status"),
        report["events_matched"].as_u64().expect("a count"),
        report["pending"].as_u64().expect("a count"),
    )
}

#[tokio::test]
async fn what_finds_nothing_writes_nothing() {
    let world = World::new(4);
    let analyzer = world.analyzer(Mode::Drain, "a");
    world.post(0..20).await;
    assert_eq!(analyzer.drain().await["status"], "drained");
    let checkpoints = world.checkpoints(&world.backends.topics.raw).await;

    let file = world.file();
    let before = file.version();
    for _ in 0..3 {
        assert_eq!(counts(&analyzer.drain().await), ("idle", 0, 0));
    }
    // Another process has the state nowhere, and needs it for nothing.
    assert_eq!(world.analyzer(Mode::Drain, "b").drain().await["status"], "idle");
    assert_eq!(file.version(), before, "something was written");
    assert_eq!(world.checkpoints(&world.backends.topics.raw).await, checkpoints);
    world.post(20..21).await;
    assert_ne!(file.version(), before, "the check sees what is written");
}

#[tokio::test]
async fn everything_that_is_there_is_analysed_and_the_leases_are_given_back() {
    let world = World::new(4);
    let analyzer = world.analyzer(Mode::Drain, "a");
    world.post(0..40).await;
    let report = analyzer.drain().await;
    assert_eq!(counts(&report), ("drained", 40, 0));
    assert_eq!(report["partitions_held"], 0);
    assert_eq!(report["joined"], false);
    let ledger = world.ledger().await;
    assert_eq!(
        (ledger.matching.ingested, ledger.matching.matched, ledger.pending),
        (40, 40, 0)
    );
    assert_eq!(report["matches_judged"], ledger.judge.matches);
    assert_eq!(report["threats_stored"], ledger.judge.stored);
    assert!(ledger.judge.stored > 0);
    for topic in [&world.backends.topics.raw, &world.backends.topics.matches] {
        for checkpoint in world.checkpoints(topic).await {
            assert!(checkpoint.lease_until <= Timestamp::EPOCH, "{topic} {checkpoint:?}");
            assert!(checkpoint.unpublished.is_empty());
            let told = world.log.told.lock();
            let last = told
                .iter()
                .rev()
                .filter(|(told, _)| told == topic)
                .flat_map(|(_, offsets)| offsets);
            let told = last.clone().find(|(partition, _)| *partition == checkpoint.partition);
            let next = checkpoint.next_offset;
            assert!(
                next == 0 || told == Some(&(checkpoint.partition, next)),
                "{topic}: the log was told of {told:?}"
            );
        }
    }
    // Another process goes on at once.
    world.post(40..50).await;
    assert_eq!(
        counts(&world.analyzer(Mode::Drain, "b").drain().await),
        ("drained", 10, 0)
    );
}

#[tokio::test]
async fn what_is_kept_in_memory_between_drains_is_what_was_saved() {
    let world = World::new(2);
    let analyzers = [world.analyzer(Mode::Drain, "a"), world.analyzer(Mode::Drain, "b")];
    world.post(0..20).await;
    analyzers[0].drain().await;
    let stored = world.stored().await;
    // The first has the state in memory, the second reads it, and the first has one that is old by then.
    for (round, analyzer) in [0, 0, 1, 1, 0].map(|at| &analyzers[at]).into_iter().enumerate() {
        world.post(0..20).await;
        world.post(20 + round..21 + round).await;
        analyzer.drain().await;
        let ledger = world.ledger().await;
        let again = 20 * (round as u64 + 1);
        assert_eq!(
            (ledger.matching.duplicate, ledger.matching.matched),
            (again, 21 + round as u64)
        );
        assert_eq!(ledger.judge.duplicate, 0);
    }
    assert!(world.stored().await >= stored);
}

#[tokio::test]
async fn a_wake_up_during_a_drain_makes_it_look_again() {
    let world = World::new(2);
    let analyzer = world.analyzer(Mode::Drain, "a");
    world.post(0..10).await;
    world.shut_gate();
    let first = tokio::spawn({
        let analyzer = analyzer.clone();
        async move { analyzer.drain().await }
    });
    world.at_gate().await;
    world.post(10..30).await;
    let others: Vec<_> = (0..5)
        .map(|_| {
            let analyzer = analyzer.clone();
            tokio::spawn(async move { analyzer.drain().await })
        })
        .collect();
    world.open_gate();
    let mut reports = vec![first.await.expect("it ends")];
    for other in others {
        reports.push(other.await.expect("it ends"));
    }
    let own: u64 = reports
        .iter()
        .filter(|report| report["joined"] == false)
        .map(|report| report["events_matched"].as_u64().expect("a count"))
        .sum();
    assert_eq!(own, 30, "{reports:?}");
    assert!(reports.iter().all(|report| report["pending"] == 0), "{reports:?}");
    let ledger = world.ledger().await;
    assert_eq!(
        (ledger.matching.matched, ledger.matching.duplicate, ledger.pending),
        (30, 0, 0)
    );
    assert_eq!(ledger.judge.duplicate, 0, "nothing was published twice");
}

#[tokio::test]
async fn two_processes_at_once_lose_nothing_and_do_nothing_twice() {
    let world = World::new(4);
    let analyzers = [world.analyzer(Mode::Drain, "a"), world.analyzer(Mode::Drain, "b")];
    for round in 0..5 {
        world.post(round * 20..round * 20 + 20).await;
        let (a, b) = tokio::join!(analyzers[0].drain(), analyzers[1].drain());
        assert!([&a, &b].iter().any(|report| report["pending"] == 0), "{a} {b}");
    }
    let ledger = world.ledger().await;
    assert_eq!(
        (ledger.matching.matched, ledger.matching.duplicate, ledger.pending),
        (100, 0, 0)
    );
    assert_eq!(world.stored().await, ledger.judge.stored);
}

#[tokio::test]
async fn when_time_is_up_the_rest_is_left_to_the_next() {
    let world = World::new(2);
    let analyzer = world.analyzer_for(Duration::ZERO, Mode::Drain, "a");
    world.post(0..40).await;
    let report = analyzer.drain().await;
    assert_eq!(counts(&report), ("partial", 40, world.ledger().await.pending));
    assert!(report["pending"].as_u64() > Some(0), "match is done, judge is not");
    let now = world.clock.now();
    let woken = world
        .backends
        .tasks
        .take(DRAIN_QUEUE, 10, SOON, now, SOON)
        .await
        .expect("tasks");
    assert_eq!(woken.len(), 1, "what is left need not wait for the schedule");
    let mut reports = Vec::new();
    while reports
        .last()
        .is_none_or(|report: &Value| report["status"] == "partial")
    {
        assert!(reports.len() < 20, "{reports:?}");
        reports.push(analyzer.drain().await);
    }
    assert_eq!(counts(&analyzer.drain().await), ("idle", 0, 0));
    assert_eq!(world.ledger().await.pending, 0);
}

#[tokio::test]
async fn leases_of_others_are_left_alone_and_the_answer_is_a_success() {
    let world = World::new(2);
    let mut other = Matcher::new(world.dependencies("other"), 2);
    other.step(Duration::ZERO).await.expect("it takes the leases");
    world.post(0..10).await;
    let analyzer = world.analyzer(Mode::Drain, "a");
    let report = analyzer.drain().await;
    assert_eq!(counts(&report), ("held", 0, 10));
    assert_eq!(report["partitions_held"], 2);
    while other.step(SOON).await.expect("it works") > 0 {}
    other.release().await;
    let report = analyzer.drain().await;
    assert_eq!(
        counts(&report),
        ("drained", 0, 0),
        "what the other matched is judged: {report}"
    );
    assert_eq!(world.ledger().await.matching.matched, 10);
}

#[tokio::test]
async fn a_backend_that_fails_is_a_503_and_the_next_wake_up_goes_on() {
    let world = World::new(2);
    let analyzer = world.analyzer(Mode::Drain, "a");
    world.post(0..10).await;
    world.log.failures.store(1, Ordering::SeqCst);
    let (status, problem) = analyzer.send("/drain", "").await;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(problem["status"], 503);
    assert_eq!(counts(&analyzer.drain().await), ("drained", 10, 0));
    let ledger = world.ledger().await;
    assert_eq!((ledger.matching.matched, ledger.matching.duplicate), (10, 0));
}

async fn threats(world: &World) -> Vec<Threat> {
    let query = ThreatQuery {
        limit: 500,
        ..ThreatQuery::default()
    };
    let mut threats = world.backends.store.threats(&query).await.expect("threats").items;
    threats.sort_by(|a, b| a.id.cmp(&b.id));
    threats
}

#[tokio::test]
async fn the_verdicts_are_those_of_the_workers() {
    let start: Timestamp = "2026-11-22T09:00:00Z".parse().expect("a time");
    let attack = scenario("BRUTE_FORCE").expect("a scenario");
    let lines: Vec<String> = generate(attack, 7, start, 20, 30).collect();
    let (drained, worked) = (World::new(3), World::new(3));
    let analyzer = drained.analyzer(Mode::Drain, "a");
    let mut matcher = Matcher::new(worked.dependencies("a"), 3);
    let mut judges: Vec<Judge> = (0..3).map(|at| Judge::new(worked.dependencies("a"), at, 3)).collect();
    for (at, lines) in lines.chunks(97).enumerate() {
        let records = || {
            let numbered = lines.iter().enumerate();
            numbered
                .map(|(n, line)| event(&format!("e{at}-{n}"), line, "test", None))
                .collect()
        };
        drained.append(records()).await;
        worked.append(records()).await;
        analyzer.drain().await;
        while matcher.step(SOON).await.expect("it works") > 0 {}
        for judge in &mut judges {
            while judge.step(SOON).await.expect("it works") > 0 {}
        }
    }
    let (drained_threats, worked_threats) = (threats(&drained).await, threats(&worked).await);
    assert!(!drained_threats.is_empty());
    let ids = |threats: &[Threat]| {
        let said = |t: &Threat| (t.id.clone(), t.severity, t.event_count, t.rule_ids.clone(), t.timestamp);
        threats.iter().map(said).collect::<Vec<_>>()
    };
    assert_eq!(ids(&drained_threats), ids(&worked_threats));
    let (mut a, mut b) = (drained.ledger().await, worked.ledger().await);
    (a.partitions, b.partitions) = (Vec::new(), Vec::new());
    assert_eq!(a, b);
}

#[tokio::test]
async fn a_record_larger_than_the_log_takes_does_not_stop_its_partition() {
    let world = World::new(1);
    let analyzer = world.analyzer(Mode::Drain, "a");
    let poison = Record {
        key: "k".repeat(3 << 20),
        value: "v".repeat(3 << 20).into(),
        headers: vec![("h".to_owned(), "h".repeat(3 << 20).into())],
    };
    world.append(vec![failed_login(0), poison, failed_login(1)]).await;
    assert_eq!(counts(&analyzer.drain().await), ("drained", 3, 0));
    let matching = world.ledger().await.matching;
    assert_eq!((matching.matched, matching.dead_lettered), (2, 1));
    let dead = world.records(&world.backends.topics.dead_letters).await;
    let bytes = dead[0].1.header("dead-letter-bytes").expect("how long it was");
    assert_eq!(
        (bytes.as_ref(), dead[0].1.value.len()),
        (b"3145728".as_slice(), 256 * 1024)
    );
}

#[tokio::test]
async fn a_partition_that_becomes_free_during_a_drain_is_worked_in_it() {
    let world = World::new(2);
    world.post(0..20).await;
    let id = PartitionId {
        topic: world.backends.topics.raw.clone(),
        partition: 0,
    };
    let now = world.clock.now();
    let taken = world.backends.store.acquire(&id, 2, "other", LEASE, now).await;
    let epoch = taken.expect("it answers").expect("it is free").owner_epoch;
    world.shut_gate();
    let analyzer = world.analyzer(Mode::Drain, "a");
    let drain = tokio::spawn(async move { analyzer.drain().await });
    world.at_gate().await;
    world.backends.store.release(&id, epoch).await.expect("released");
    world.clock.advance(Duration::from_secs(6));
    world.open_gate();
    // One that does not notice reads on for as long as a silent log is borne: 20 seconds.
    let report = tokio::time::timeout(Duration::from_secs(15), drain).await;
    let report = report.expect("it ends soon").expect("it ends");
    assert_eq!(counts(&report), ("drained", 20, 0));
}

#[tokio::test]
async fn where_judge_alone_has_something_to_do_match_takes_no_leases() {
    let world = World::new(2);
    let analyzer = world.analyzer(Mode::Drain, "a");
    world.post(0..20).await;
    analyzer.drain().await;
    let before = world.checkpoints(&world.backends.topics.raw).await;
    let stray = Record {
        key: "k".to_owned(),
        value: "no match".into(),
        headers: Vec::new(),
    };
    let matches = &world.backends.topics.matches;
    let appended = world
        .backends
        .log
        .append(matches, vec![stray], Durability::Promised)
        .await;
    appended.expect("appended");
    assert_eq!(analyzer.drain().await["matches_judged"], 1);
    assert_eq!(world.checkpoints(&world.backends.topics.raw).await, before);
}
