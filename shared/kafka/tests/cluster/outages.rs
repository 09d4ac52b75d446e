//! Brokers that go and come back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use threatstream_backend::conformance::PATIENCE;
use threatstream_backend::conformance::samples::record;
use threatstream_backend::{Durability, EventLog, Position, Record};
use threatstream_kafka::mock::{Answer, Request};
use threatstream_kafka::{ApiSecret, Credentials};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::rig::{TOPIC, assert_complete, log_on, numbered, read, rig};

#[tokio::test(flavor = "multi_thread")]
async fn an_append_waits_through_a_short_outage() {
    let rig = rig(1, 2, |_| ());
    rig.append(numbered(0, 10)).await;
    let mut reader = rig.reader().await;
    assert_complete(&read(&mut *reader, 10).await, 10);

    rig.kafka.down(None);
    let log = Arc::new(rig.log);
    let appender = Arc::clone(&log);
    let append = tokio::spawn(async move { appender.append(TOPIC, numbered(10, 10), Durability::Promised).await });
    // The reader notices, and says so rather than that there is nothing.
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        assert!(Instant::now() < deadline, "the reader never noticed");
        match reader.next(1 << 20, Duration::from_millis(200)).await {
            Ok(parts) => assert!(parts.is_empty()),
            Err(error) => break error,
        }
    };
    assert!(error.is_retryable(), "{error}");
    assert!(!append.is_finished());
    rig.kafka.up(None);
    timeout(PATIENCE, append).await.unwrap().unwrap().unwrap();
    let mut partitions = read(&mut *reader, 10).await;
    for (partition, records) in read(&mut *log.open(TOPIC, &[(0, 0), (1, 0)]).await.unwrap(), 20).await {
        let tail = partitions.remove(&partition).unwrap_or_default();
        assert!(records.ends_with(&tail), "of partition {partition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_gives_up_in_time_and_later_ones_succeed() {
    let rig = rig(1, 2, |config| {
        config.delivery_timeout = Duration::from_secs(1);
        config.request_timeout = Duration::from_secs(1);
    });
    rig.append(numbered(0, 10)).await;
    rig.kafka.down(None);
    let started = Instant::now();
    let error = rig
        .log
        .append(TOPIC, numbered(10, 10), Durability::Promised)
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "after {:?}",
        started.elapsed()
    );
    let error = rig.log.check().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let error = rig.log.watermarks(TOPIC).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");

    rig.kafka.up(None);
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = rig.log.append(TOPIC, numbered(10, 10), Durability::Promised).await {
        assert!(error.is_retryable() && Instant::now() < deadline, "{error}");
    }
    let marks = loop {
        match rig.log.watermarks(TOPIC).await {
            Ok(marks) => break marks,
            Err(error) => assert!(error.is_retryable() && Instant::now() < deadline, "{error}"),
        }
    };
    assert!(marks.iter().map(|marks| marks.high).sum::<u64>() >= 20, "{marks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_may_move_while_records_flow() {
    let rig = rig(3, 3, |_| ());
    let mut reader = rig.reader().await;
    for round in 0..6 {
        rig.append(numbered(round * 50, 50)).await;
        for partition in 0..3 {
            let leader = i32::try_from((round + partition) % 3 + 1).unwrap();
            rig.kafka.lead(TOPIC, u32::try_from(partition).unwrap(), Some(leader));
        }
    }
    assert_complete(&read(&mut *reader, 300).await, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_errors_pass() {
    let rig = rig(1, 2, |_| ());
    rig.append(numbered(0, 100)).await;
    rig.kafka.fail(
        Request::Fetch,
        &[
            Answer::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Answer::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
            Answer::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
            Answer::RD_KAFKA_RESP_ERR__TRANSPORT,
        ],
    );
    assert_complete(&read(&mut *rig.reader().await, 100).await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_broker_is_waited_for() {
    let rig = rig(1, 2, |_| ());
    rig.kafka.round_trip_time(None, Duration::from_millis(300));
    rig.append(numbered(0, 50)).await;
    assert_complete(&read(&mut *rig.reader().await, 50).await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_what_the_connection_suffers() {
    let rig = rig(1, 1, |_| ());
    // TLS, to brokers that speak none.
    let log = log_on(&rig.kafka, |config| {
        config.request_timeout = Duration::from_secs(2);
        config.credentials = Some(Credentials {
            api_key: "KEY".to_owned(),
            api_secret: ApiSecret::new("hunter2"),
        });
    });
    let error = log.check().await.unwrap_err().to_string();
    assert!(error.to_lowercase().contains("ssl"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_reaches_for_nothing() {
    let started = Instant::now();
    let log = log_on(&rig(1, 1, |_| ()).kafka, |config| {
        config.bootstrap_servers = "192.0.2.1:9092".to_owned();
        config.request_timeout = Duration::from_millis(500);
    });
    assert!(
        started.elapsed() < Duration::from_millis(400),
        "after {:?}",
        started.elapsed()
    );
    log.connect().await.unwrap();
    assert!(log.check().await.unwrap_err().is_retryable());
}

/// Brokers go and come, connections are cut and errors answered, while many append and one reads: what was acknowledged lies where
/// it was said to lie, and is read there.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_whatever_happened() {
    const CALLERS: usize = 6;
    const ROUNDS: usize = 60;
    let rig = rig(3, 6, |_| ());
    let mut reader = rig.reader().await;
    let log = Arc::new(rig.log);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let log = Arc::clone(&log);
        callers.spawn(async move {
            let mut told = Vec::new();
            for round in 0..ROUNDS {
                let records: Vec<Record> = (0..9)
                    .map(|at| record(&format!("{caller}-{at}"), &format!("{caller}/{round}/{at}")))
                    .collect();
                let positions = loop {
                    match log.append(TOPIC, records.clone(), Durability::Promised).await {
                        Ok(positions) => break positions,
                        Err(error) => assert!(error.is_retryable(), "{error}"),
                    }
                };
                told.extend(
                    positions
                        .into_iter()
                        .zip(records.into_iter().map(|record| record.value)),
                );
            }
            told
        });
    }
    let mut seen = HashMap::new();
    let (mut step, mut quiet_until) = (0, 1);
    let deadline = Instant::now() + 3 * PATIENCE;
    let mut told = Vec::new();
    while !callers.is_empty() || told.iter().any(|(position, _)| !seen.contains_key(position)) {
        assert!(
            Instant::now() < deadline,
            "{} acknowledged, {} read",
            told.len(),
            seen.len()
        );
        // The next trouble comes when the last one is overcome.
        if seen.len() >= quiet_until && !callers.is_empty() {
            quiet_until = seen.len() + 100;
            let broker = step % 3 + 1;
            match step % 4 {
                0 => rig.kafka.down(Some(broker)),
                1 => rig.kafka.fail(
                    Request::Produce,
                    &[
                        Answer::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                        Answer::RD_KAFKA_RESP_ERR__TRANSPORT,
                    ],
                ),
                2 => rig
                    .kafka
                    .fail(Request::Fetch, &[Answer::RD_KAFKA_RESP_ERR__TRANSPORT; 3]),
                _ => rig.kafka.lead(TOPIC, u32::try_from(step % 6).unwrap(), Some(broker)),
            }
            step += 1;
        }
        match reader.next(1 << 20, Duration::from_millis(50)).await {
            Ok(parts) => {
                for part in parts {
                    for record in part.records {
                        let position = Position {
                            partition: part.partition,
                            offset: record.offset,
                        };
                        assert!(seen.insert(position, record.value).is_none(), "{position:?} came twice");
                    }
                }
            }
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        rig.kafka.up(None);
        while let Some(done) = callers.try_join_next() {
            told.extend(done.unwrap());
        }
    }
    assert!(step >= 4, "only {step} troubles came, and each kind was to come");
    assert_eq!(told.len(), CALLERS * ROUNDS * 9);
    for (position, value) in told {
        assert_eq!(seen[&position], value, "at {position:?}");
    }
}
