//! A cluster, a log on it, and records whose order and number can be told.

use std::collections::BTreeMap;
use std::time::Duration;

use threatstream_backend::conformance::PATIENCE;
use threatstream_backend::conformance::samples::record;
use threatstream_backend::{Durability, EventLog, LogReader, LoggedRecord, Record};
use threatstream_kafka::mock::MockKafka;
use threatstream_kafka::{KafkaConfig, KafkaLog};
use tokio::time::Instant;

pub(crate) const TOPIC: &str = "events";

pub(crate) struct Rig {
    pub(crate) log: KafkaLog,
    pub(crate) kafka: MockKafka,
}

/// A log on so many brokers with one topic of so many partitions.
pub(crate) fn rig(brokers: u32, partitions: u32, change: impl FnOnce(&mut KafkaConfig)) -> Rig {
    let kafka = MockKafka::start(brokers, &[(TOPIC, partitions)]);
    let log = log_on(&kafka, change);
    Rig { log, kafka }
}

pub(crate) fn log_on(kafka: &MockKafka, change: impl FnOnce(&mut KafkaConfig)) -> KafkaLog {
    let mut config = kafka.config();
    change(&mut config);
    KafkaLog::open(config).unwrap()
}

/// Records `first..first + count` under 17 keys.
pub(crate) fn numbered(first: usize, count: usize) -> Vec<Record> {
    (first..first + count)
        .map(|at| record(&format!("key-{}", at % 17), &at.to_string()))
        .collect()
}

/// Records of 100 kB each that do not compress.
pub(crate) fn bulky(count: usize) -> Vec<Record> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count)
        .map(|at| {
            let value: Vec<u8> = (0..100_000)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    (state >> 56) as u8
                })
                .collect();
            Record {
                value: value.into(),
                ..record(&at.to_string(), "")
            }
        })
        .collect()
}

impl Rig {
    pub(crate) async fn append(&self, records: Vec<Record>) {
        self.log.append(TOPIC, records, Durability::Promised).await.unwrap();
    }

    /// A reader of all partitions from their beginning.
    pub(crate) async fn reader(&self) -> Box<dyn LogReader> {
        let partitions = self.log.partitions(TOPIC).await.unwrap();
        let from: Vec<(u32, u64)> = (0..partitions).map(|partition| (partition, 0)).collect();
        self.log.open(TOPIC, &from).await.unwrap()
    }
}

/// Reads until there are as many records, through whatever passes.
pub(crate) async fn read(reader: &mut dyn LogReader, wanted: usize) -> BTreeMap<u32, Vec<LoggedRecord>> {
    let deadline = Instant::now() + 2 * PATIENCE;
    let mut read: BTreeMap<u32, Vec<LoggedRecord>> = BTreeMap::new();
    let mut count = 0;
    while count < wanted {
        assert!(Instant::now() < deadline, "{count} of {wanted} records came");
        match reader.next(1 << 20, Duration::from_millis(200)).await {
            Ok(parts) => {
                for part in parts {
                    let last = part.records.last().expect("a part is not empty").offset;
                    assert!(part.watermarks.high > last, "{:?} ends before {last}", part.watermarks);
                    count += part.records.len();
                    read.entry(part.partition).or_default().extend(part.records);
                }
            }
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
    read
}

/// Every number from 0 came once, within a partition in order.
pub(crate) fn assert_complete(read: &BTreeMap<u32, Vec<LoggedRecord>>, count: usize) {
    let mut all = Vec::new();
    for (partition, records) in read {
        let numbers: Vec<usize> = records
            .iter()
            .map(|record| std::str::from_utf8(&record.value).unwrap().parse().unwrap())
            .collect();
        assert!(numbers.is_sorted(), "of partition {partition}: {numbers:?}");
        all.extend(numbers);
    }
    all.sort_unstable();
    assert_eq!(all, (0..count).collect::<Vec<_>>());
}
