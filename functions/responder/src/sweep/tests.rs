use std::collections::BTreeSet;

use serde_json::{Value, json};
use threatstream_backend::{BackendError, FeedStart, LoggedRecord, RESPOND_QUEUE};
use threatstream_domain::{ExecutionStatus, FrameKind};

use super::*;
use crate::testing::{Answer, DEADLINE, Receiver, World, execution_id};
use crate::worker::handle;

const PLAYBOOK: &str = "pb-brute-001";

/// What the metrics topic holds, in the order of the minutes.
async fn told(world: &World) -> Vec<LoggedRecord> {
    let topic = &world.backends.topics.metrics;
    let log = &world.backends.log;
    let from: Vec<(u32, u64)> = (0..log.partitions(topic).await.unwrap()).map(|p| (p, 0)).collect();
    let mut reader = log.open(topic, &from).await.unwrap();
    let mut told = Vec::new();
    loop {
        let batch = reader.next(1 << 20, Duration::ZERO).await.unwrap();
        if batch.is_empty() {
            told.sort_by(|one: &LoggedRecord, other| one.key.cmp(&other.key));
            return told;
        }
        told.extend(batch.into_iter().flat_map(|partition| partition.records));
    }
}

fn json_of(record: &LoggedRecord) -> Value {
    serde_json::from_slice(&record.value).unwrap()
}

/// Works what lies in the queue and says how much it was.
async fn work(world: &World, engine: &Engine) -> usize {
    let lease = Duration::from_secs(120);
    let tasks = &world.backends.tasks;
    let now = world.clock.now();
    let deliveries = tasks.take(RESPOND_QUEUE, 10, lease, now, Duration::ZERO).await.unwrap();
    for delivery in &deliveries {
        handle(engine, delivery, &CancellationToken::new()).await;
    }
    deliveries.len()
}

#[tokio::test]
async fn an_execution_whose_worker_is_gone_goes_on() {
    let world = World::new();
    let receiver = Receiver::new(&[Answer::Silence]).await;
    let threat = world.threat("one", |_| {}).await;
    let engine = world.engine(Some(receiver.config()));
    let running = {
        let (engine, id) = (Arc::clone(&engine), threat.id.clone());
        tokio::spawn(async move { engine.respond(&id, &CancellationToken::new()).await.is_ok() })
    };
    receiver.arrived(1).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());

    let id = execution_id(PLAYBOOK, &threat);
    assert_eq!(world.execution(&id).await.status, ExecutionStatus::Running);
    assert_eq!(
        engine.sweep().await.unwrap().resumed,
        Vec::<String>::new(),
        "it may be at work"
    );
    world.clock.advance(INTERRUPTED_AFTER);
    // Twice the same standstill is one task.
    for _ in 0..2 {
        assert_eq!(engine.sweep().await.unwrap().resumed, std::slice::from_ref(&id));
    }
    assert_eq!(work(&world, &engine).await, 1);
    let ended = world.execution(&id).await;
    assert_eq!(ended.status, ExecutionStatus::Failed);
    assert!(
        ended.steps[1].detail.as_ref().unwrap().contains("interrupted"),
        "{ended:?}"
    );
    assert_eq!(receiver.calls().len(), 1, "what may have been sent is not sent again");
    assert_eq!(engine.sweep().await.unwrap().resumed, Vec::<String>::new());
}

#[tokio::test]
async fn each_minute_is_told_once_and_as_it_was() {
    let world = World::new();
    let engine = world.engine(None);
    let threat = world.threat("one", |_| {}).await;
    world.enqueue(&threat).await;
    let first = engine.sweep().await.unwrap().minutes;
    assert_eq!(
        first,
        ["2026-11-22T08:58:00Z".parse().unwrap()],
        "09:00:00: 08:59 has not settled"
    );
    world.clock.advance(Duration::from_secs(65));
    let second = engine.sweep().await.unwrap().minutes;
    assert_eq!(second.len(), 2, "08:59 and 09:00: {second:?}");
    // The same minute again, by another process.
    assert!(world.engine(None).sweep().await.unwrap().minutes.is_empty());

    let told = told(&world).await;
    let keys: Vec<&str> = told.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "2026-11-22T08:58:00.000Z",
            "2026-11-22T08:59:00.000Z",
            "2026-11-22T09:00:00.000Z"
        ]
    );
    let newest = json_of(&told[2]);
    assert_eq!(
        (&newest["minute"], &newest["told_at"]),
        (&json!(keys[2]), &json!("2026-11-22T09:01:05.000Z"))
    );
    assert_eq!(
        newest["threats"],
        json!({"INFO": 0, "LOW": 0, "MEDIUM": 0, "HIGH": 0, "CRITICAL": 0})
    );
    assert_eq!(newest["detect_ms"], Value::Null, "nothing was measured");
    let standing = &newest["standing"];
    assert_eq!(
        (&standing["pending"], &standing["dead_letters"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(standing["queues"]["respond"]["waiting"], 1);
    assert_eq!(standing["lag"]["security.raw.logs"], 0);
    assert_eq!(
        json_of(&told[1])["standing"],
        Value::Null,
        "nobody knows how things stood"
    );
}

#[tokio::test]
async fn counters_of_a_minute_are_those_of_the_store() {
    let world = World::new();
    let engine = world.engine(None);
    let minute = threatstream_domain::MinuteStats {
        minute: world.clock.now().minute(),
        processed: 40,
        threats: [1, 0, 2, 3, 4],
        simulated_threats: 5,
        alerts: 6,
        detect_ms: 30.0,
        detected: 20,
    };
    world.counted(minute).await;
    let raw = &world.backends.topics.raw;
    let record = threatstream_backend::Record {
        key: "k".to_owned(),
        value: "line".into(),
        headers: Vec::new(),
    };
    let durability = threatstream_backend::Durability::Promised;
    world
        .backends
        .log
        .append(raw, vec![record; 3], durability)
        .await
        .unwrap();
    world.clock.advance(Duration::from_secs(70));
    engine.sweep().await.unwrap();
    let told = json_of(told(&world).await.last().unwrap());
    assert_eq!(told["processed"], 40);
    assert_eq!(
        told["threats"],
        json!({"INFO": 1, "LOW": 0, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4})
    );
    assert_eq!((&told["simulated_threats"], &told["alerts"]), (&json!(5), &json!(6)));
    assert_eq!(told["detect_ms"], 1.5);
    assert_eq!(told["standing"]["pending"], 3);
    assert_eq!(
        told["standing"]["lag"],
        json!({"security.raw.logs": 3, "security.matches": 0})
    );
}

#[tokio::test]
async fn missed_minutes_are_told_after_the_fact_up_to_an_hour() {
    let world = World::new();
    let engine = world.engine(None);
    engine.sweep().await.unwrap();
    world.clock.advance(Duration::from_secs(5 * 60));
    assert_eq!(engine.sweep().await.unwrap().minutes.len(), 5);
    world.clock.advance(Duration::from_secs(5 * 3600));
    assert_eq!(engine.sweep().await.unwrap().minutes.len(), 60);
    let (one, other) = (world.engine(None), world.engine(None));
    world.clock.advance(Duration::from_secs(60));
    // At the same moment a minute may be told twice, under one key.
    let (one, other) = tokio::join!(one.sweep(), other.sweep());
    assert!(one.unwrap().minutes.len() + other.unwrap().minutes.len() >= 1);
    let keys: BTreeSet<String> = told(&world).await.into_iter().map(|record| record.key).collect();
    assert_eq!(keys.len(), 1 + 5 + 60 + 1);
}

#[tokio::test]
async fn what_others_write_to_the_topic_does_no_harm() {
    let world = World::new();
    let engine = world.engine(None);
    engine.sweep().await.unwrap();
    let topic = &world.backends.topics.metrics;
    let partitions = world.backends.log.partitions(topic).await.unwrap();
    let odd = (0..partitions * 8).map(|at| threatstream_backend::Record {
        key: format!("\u{1b}[31m{at}"),
        value: "not json".into(),
        headers: Vec::new(),
    });
    let durability = threatstream_backend::Durability::Promised;
    world
        .backends
        .log
        .append(topic, odd.collect(), durability)
        .await
        .unwrap();
    world.clock.advance(Duration::from_secs(60));
    let minutes: Result<Vec<Timestamp>, BackendError> = engine.tell_minutes().await;
    // What was told last can no longer be seen: the newest minute is told, and no older one again.
    assert_eq!(minutes.unwrap().len(), 1);
}

#[tokio::test]
async fn the_worker_sweeps_and_stops() {
    let world = World::new();
    let stop = CancellationToken::new();
    let worker = tokio::spawn(every_minute(world.engine(None), stop.clone()));
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(MINUTE + Duration::from_secs(1)).await;
    tokio::time::resume();
    let arrived = async {
        while told(&world).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, arrived).await.expect("a minute is told");
    stop.cancel();
    worker.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_alert_nobody_acknowledged_in_time_is_told_of_once() {
    let world = World::new();
    let engine = world.engine(None);
    world.alert("ALT-late", Duration::from_secs(60)).await;
    world.alert("ALT-later", Duration::from_secs(600)).await;
    let before = world.backends.store.head().await.unwrap();
    assert_eq!(engine.sweep().await.unwrap().overdue, [""; 0]);
    assert_eq!(world.backends.store.head().await.unwrap(), before);

    world.clock.advance(Duration::from_secs(61));
    // Two schedulers at once, and one after: one frame.
    let (one, other) = tokio::join!(engine.sweep(), engine.sweep());
    let mut told = [one.unwrap().overdue, other.unwrap().overdue].concat();
    told.extend(engine.sweep().await.unwrap().overdue);
    assert_eq!(told, ["ALT-late"]);
    let FeedStart::Reader(mut reader) = world.backends.store.follow(&before).await.unwrap() else {
        panic!("the feed is gone");
    };
    let frames: Vec<_> = reader
        .next(10, DEADLINE)
        .await
        .unwrap()
        .into_iter()
        .flat_map(|record| record.frames)
        .collect();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].kind, FrameKind::AlertUpdate);
    let alert: Value = serde_json::from_str(frames[0].data.get()).unwrap();
    assert_eq!((&alert["id"], &alert["version"]), (&json!("ALT-late"), &json!(0)));
}
