//! What an append refuses, survives, and waits for.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, any, prop_oneof, proptest};
use proptest::strategy::Strategy;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use threatstream_backend::conformance::PATIENCE;
use threatstream_backend::conformance::samples::record;
use threatstream_backend::{BackendError, Durability, EventLog, Record, Watermarks, partition_of};
use threatstream_kafka::mock::{Answer, MockKafka, Request};
use threatstream_kafka::{KafkaConfig, KafkaLog, MAX_RECORD_BYTES};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::rig::{TOPIC, assert_complete, numbered, read, rig};

#[tokio::test(flavor = "multi_thread")]
async fn broker_errors_are_retried_without_loss_or_repetition() {
    let rig = rig(3, 4, |_| ());
    rig.append(numbered(0, 10)).await;
    rig.kafka.fail(
        Request::Produce,
        &[
            Answer::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Answer::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            Answer::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            Answer::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            Answer::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        ],
    );
    for first in (10..210).step_by(20) {
        rig.append(numbered(first, 20)).await;
    }
    let mut reader = rig.reader().await;
    assert_complete(&read(&mut *reader, 210).await, 210);
    assert!(
        reader
            .next(1 << 20, Duration::from_millis(50))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_failed_for_good_is_replaced() {
    let rig = rig(1, 1, |_| ());
    rig.append(numbered(0, 5)).await;
    // The first in flight out of sequence: librdkafka gives the whole producer up.
    rig.kafka.fail(
        Request::Produce,
        &[Answer::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );
    let error = rig
        .log
        .append(TOPIC, numbered(5, 5), Durability::Promised)
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    rig.append(numbered(5, 5)).await;
    assert_complete(&read(&mut *rig.reader().await, 10).await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_is_refused_before_anything_is_written() {
    let rig = rig(1, 1, |_| ());
    let mut records = numbered(0, 3);
    records.push(Record {
        value: Bytes::from(vec![b'x'; MAX_RECORD_BYTES]),
        ..record("large", "")
    });
    let error = rig.log.append(TOPIC, records, Durability::Promised).await.unwrap_err();
    assert!(matches!(error, BackendError::Rejected { .. }), "{error}");
    assert_eq!(rig.log.watermarks(TOPIC).await.unwrap(), [Watermarks::default()]);

    // As large as one may be, in an envelope that had to be escaped.
    let large = Record {
        value: Bytes::from(vec![b'x'; MAX_RECORD_BYTES - 1024]),
        ..record("large", "")
    };
    rig.append(vec![large.clone()]).await;
    let read = read(&mut *rig.reader().await, 1).await;
    assert_eq!(read[&0][0].value, large.value);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_refuses_a_record_is_final() {
    for answer in [
        Answer::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        Answer::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        Answer::RD_KAFKA_RESP_ERR_INVALID_RECORD,
    ] {
        let rig = rig(1, 1, |_| ());
        rig.append(numbered(0, 1)).await;
        rig.kafka.fail(Request::Produce, &[answer]);
        let error = rig
            .log
            .append(TOPIC, numbered(1, 1), Durability::Promised)
            .await
            .unwrap_err();
        assert!(!error.is_retryable(), "{answer:?}: {error}");
        // An authorization that was refused counts until the metadata says otherwise.
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = rig.log.append(TOPIC, numbered(1, 1), Durability::Promised).await {
            assert!(Instant::now() < deadline, "{answer:?}: {error}");
        }
        assert_complete(&read(&mut *rig.reader().await, 2).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_topic_is_named_and_not_made() {
    let rig = rig(1, 1, |_| ());
    for _ in 0..2 {
        let append = rig.log.append("absent", numbered(0, 1), Durability::Promised);
        let error = append.await.unwrap_err();
        assert!(
            matches!(&error, BackendError::Rejected { message, .. } if message.contains("absent")),
            "{error}"
        );
    }
    let error = rig.log.watermarks("absent").await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    let error = rig
        .log
        .append("a\0b", numbered(0, 1), Durability::Promised)
        .await
        .unwrap_err();
    assert!(!error.is_retryable(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_beyond_the_bound_wait_for_room() {
    let rig = rig(1, 2, |config| {
        config.queue_bytes = 20_000;
        config.delivery_timeout = Duration::from_secs(2);
    });
    rig.append(numbered(0, 1)).await;
    rig.kafka.down(None);
    let mut callers = JoinSet::new();
    let log = std::sync::Arc::new(rig.log);
    for caller in 0..20 {
        let log = std::sync::Arc::clone(&log);
        callers.spawn(async move {
            let record = record(&caller.to_string(), &"x".repeat(9_000));
            log.append(TOPIC, vec![record], Durability::Promised).await.unwrap_err()
        });
    }
    // Two have room and wait for the broker; the others wait for room.
    let errors = callers.join_all().await;
    let kept_out = errors
        .iter()
        .filter(|error| error.to_string().contains("stayed full"))
        .count();
    assert!(errors.iter().all(BackendError::is_retryable), "{errors:?}");
    assert!(kept_out >= 16, "{kept_out}: {errors:?}");

    // Room comes back with the broker, also for one that is larger than all of it.
    rig.kafka.up(None);
    let large = record("large", &"x".repeat(100_000));
    let mut appended = log.append(TOPIC, vec![large.clone()], Durability::Promised).await;
    for _ in 0..10 {
        if appended.is_ok() {
            break;
        }
        appended = log.append(TOPIC, vec![large.clone()], Durability::Promised).await;
    }
    appended.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_where_other_clients_send_them() {
    let rig = rig(1, 7, |_| ());
    let other: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", rig.kafka.bootstrap_servers())
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    for at in 0..100_u64 {
        let key = format!("key-{}-{}", at, "é".repeat(usize::try_from(at % 9).unwrap()));
        let message = FutureRecord::to(TOPIC).key(&key).payload("x");
        let delivery = other
            .send_result(message)
            .map_err(|(error, _)| error)
            .unwrap()
            .await
            .unwrap()
            .unwrap();
        let partition = u32::try_from(delivery.partition).unwrap();
        assert_eq!(partition, partition_of(key.as_bytes(), 7), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_configuration_is_refused_at_once() {
    for servers in ["", "  "] {
        assert!(KafkaLog::open(KafkaConfig::new(servers)).is_err());
    }
    let mut config = KafkaConfig::new("127.0.0.1:9092");
    config.consumer_group.clear();
    assert!(KafkaLog::open(config).is_err());
}

fn any_record() -> impl Strategy<Value = Record> {
    let text = prop_oneof![Just(String::new()), any::<String>()];
    let name = "[^\u{0}]{0,20}";
    let bytes = || vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    (text, bytes(), vec((name, bytes()), 0..4)).prop_map(|(key, value, headers)| Record { key, value, headers })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever is in a record comes back as it was.
    #[test]
    fn any_record_comes_back(records in vec(any_record(), 1..40)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let kafka = MockKafka::start(1, &[(TOPIC, 3)]);
            let log = KafkaLog::open(kafka.config()).unwrap();
            let positions = log.append(TOPIC, records.clone(), Durability::Redoable).await.unwrap();
            let mut reader = log.open(TOPIC, &[(0, 0), (1, 0), (2, 0)]).await.unwrap();
            let read = read(&mut *reader, records.len()).await;
            for (record, position) in records.iter().zip(positions) {
                let logged = &read[&position.partition][usize::try_from(position.offset).unwrap()];
                assert_eq!((&logged.key, &logged.value, &logged.headers), (&record.key, &record.value, &record.headers));
            }
        });
    }
}
