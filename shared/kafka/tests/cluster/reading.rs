//! Where a reader begins, what it makes of a log that lost something, and what it holds.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use threatstream_backend::conformance::PATIENCE;
use threatstream_backend::{BackendError, Durability, EventLog};
use threatstream_kafka::mock::{Answer, Request};
use tokio::time::{Instant, timeout};

use crate::rig::{TOPIC, assert_complete, bulky, log_on, numbered, read, rig};

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_beyond_the_end_is_refused() {
    let rig = rig(1, 1, |_| ());
    rig.append(numbered(0, 10)).await;
    // At the end is no mistake.
    let mut reader = rig.log.open(TOPIC, &[(0, 10)]).await.unwrap();
    assert!(reader.next(1, Duration::from_millis(20)).await.unwrap().is_empty());
    let Err(error) = rig.log.open(TOPIC, &[(0, 11)]).await else {
        panic!("offset 11 of 10 was taken");
    };
    assert!(
        matches!(&error, BackendError::Rejected { message, .. } if message.contains("made again")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_not_there_or_twice_are_refused() {
    let rig = rig(1, 2, |_| ());
    for from in [&[(2, 0)][..], &[(u32::MAX, 0)], &[(0, 0), (0, 5)], &[(0, u64::MAX)]] {
        let Err(error) = rig.log.open(TOPIC, from).await else {
            panic!("{from:?} was taken");
        };
        assert!(!error.is_retryable(), "{error}");
    }
    let mut reader = rig.log.open(TOPIC, &[]).await.unwrap();
    assert!(reader.next(1, Duration::ZERO).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_before_the_log_begins_shows_in_the_offsets() {
    let rig = rig(1, 1, |_| ());
    // The mock drops what is oldest beyond 5 MiB.
    for _ in 0..8 {
        rig.append(bulky(10)).await;
    }
    let marks = rig.log.watermarks(TOPIC).await.unwrap()[0];
    assert!(marks.low > 0 && marks.high == 80, "{marks:?}");
    let mut reader = rig.log.open(TOPIC, &[(0, 0)]).await.unwrap();
    let count = usize::try_from(marks.high - marks.low).unwrap();
    let read = read(&mut *reader, count).await;
    let offsets: Vec<u64> = read[&0].iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (marks.low..marks.high).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_retention_overtakes_goes_on_where_the_log_begins() {
    let rig = rig(1, 1, |config| config.prefetch_bytes = 1024);
    rig.append(bulky(2)).await;
    let mut reader = rig.reader().await;
    let first = timeout(PATIENCE, reader.next(1, PATIENCE)).await.unwrap().unwrap();
    assert_eq!(first[0].records[0].offset, 0);
    for _ in 0..20 {
        rig.append(bulky(10)).await;
    }
    let marks = rig.log.watermarks(TOPIC).await.unwrap()[0];
    let mut offsets = vec![0];
    let deadline = Instant::now() + PATIENCE;
    while offsets.last() != Some(&(marks.high - 1)) {
        assert!(Instant::now() < deadline, "read {offsets:?} of {marks:?}");
        for part in reader.next(1 << 20, Duration::from_millis(200)).await.unwrap() {
            offsets.extend(part.records.iter().map(|record| record.offset));
        }
    }
    assert!(offsets.is_sorted_by(|one, other| one < other), "{offsets:?}");
    let tail = marks.low..marks.high;
    assert!(offsets.ends_with(&tail.collect::<Vec<_>>()), "{offsets:?} of {marks:?}");
    assert!(offsets.len() < 202, "nothing was lost, so nothing was tested");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_wait_loses_nothing() {
    let rig = rig(2, 4, |_| ());
    let mut reader = rig.reader().await;
    let mut count = 0;
    let mut last = std::collections::HashMap::new();
    for round in 0..20 {
        rig.append(numbered(round * 50, 50)).await;
        let deadline = Instant::now() + PATIENCE;
        while count < (round + 1) * 50 {
            assert!(Instant::now() < deadline, "{count} records came");
            // Given up at once, over and over.
            let Ok(parts) = timeout(Duration::from_micros(200), reader.next(700, PATIENCE)).await else {
                continue;
            };
            for part in parts.unwrap() {
                for record in part.records {
                    let next = last.entry(part.partition).or_insert(0);
                    assert_eq!(record.offset, *next);
                    *next += 1;
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_read_through_a_small_window() {
    let rig = rig(2, 4, |config| config.prefetch_bytes = 64 * 1024);
    for first in (0..40_000).step_by(4_000) {
        rig.append(numbered(first, 4_000)).await;
    }
    let mut reader = rig.reader().await;
    let mut all = std::collections::BTreeMap::new();
    let mut count = 0;
    while count < 40_000 {
        let parts = timeout(PATIENCE, reader.next(10_000, PATIENCE)).await.unwrap().unwrap();
        assert!(!parts.is_empty());
        let bytes: usize = parts
            .iter()
            .flat_map(|part| &part.records)
            .map(|record| record.value.len() + record.key.len())
            .sum();
        assert!(bytes <= 10_100, "{bytes} bytes came at once");
        for part in parts {
            count += part.records.len();
            all.entry(part.partition).or_insert_with(Vec::new).extend(part.records);
        }
    }
    assert_complete(&all, 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_send_is_read_as_it_is() {
    let rig = rig(1, 1, |_| ());
    let other: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", rig.kafka.bootstrap_servers())
        .create()
        .unwrap();
    let messages = [
        // Neither key nor value, and a time before 1970.
        FutureRecord::<[u8], [u8]>::to(TOPIC).timestamp(1),
        FutureRecord::to(TOPIC)
            .key(&b"\xff\xfe key"[..])
            .payload(&b"\xff"[..])
            .timestamp(1_800_000_000_000),
        // Earlier than the one before it.
        FutureRecord::to(TOPIC)
            .key(&b"k"[..])
            .payload(&b"v"[..])
            .timestamp(1_700_000_000_000),
        FutureRecord::to(TOPIC)
            .key(&b"k"[..])
            .payload(&b"v"[..])
            .timestamp(i64::MAX),
    ];
    for message in messages {
        other
            .send_result(message.partition(0))
            .map_err(|(error, _)| error)
            .unwrap()
            .await
            .unwrap()
            .unwrap();
    }
    let read = &read(&mut *rig.reader().await, 4).await[&0];
    assert_eq!((read[0].key.as_str(), &*read[0].value), ("", &b""[..]));
    assert_eq!(
        (read[1].key.as_str(), &*read[1].value),
        ("\u{fffd}\u{fffd} key", &b"\xff"[..])
    );
    assert_eq!(read[2].timestamp, read[1].timestamp);
    assert!(read.is_sorted_by_key(|record| record.timestamp));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_logs_read_the_same() {
    let rig = rig(1, 4, |_| ());
    rig.append(numbered(0, 200)).await;
    let other = log_on(&rig.kafka, |_| ());
    let mut theirs = other.open(TOPIC, &[(0, 0), (1, 0), (2, 0), (3, 0)]).await.unwrap();
    let mut ours = rig.reader().await;
    assert_eq!(read(&mut *ours, 200).await, read(&mut *theirs, 200).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_nothing_of_the_one_before_it() {
    let rig = rig(2, 2, |_| ());
    rig.kafka.create_topic("other", 2);
    rig.append(numbered(0, 3_000)).await;
    rig.log
        .append("other", numbered(0, 500), Durability::Promised)
        .await
        .unwrap();
    for round in 0..40 {
        // Leaves with much fetched and little read.
        let mut hasty = rig.reader().await;
        assert!(!hasty.next(1, PATIENCE).await.unwrap().is_empty());
        drop(hasty);
        let mut other = rig.log.open("other", &[(0, 0), (1, 0)]).await.unwrap();
        assert_complete(&read(&mut *other, 500).await, 500);
        drop(other);
        // The same topic, further on and further back.
        let from = [700, 3][round % 2];
        let mut again = rig.log.open(TOPIC, &[(1, from)]).await.unwrap();
        let parts = timeout(PATIENCE, again.next(1, PATIENCE)).await.unwrap().unwrap();
        assert_eq!((parts[0].partition, parts[0].records[0].offset), (1, from));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_lost_its_place_finds_it_again() {
    let rig = rig(1, 2, |_| ());
    let mut reader = rig.reader().await;
    for round in 0..5 {
        // A broker that is not up to date says that the offset is out of range, though it is not; and asked for the range, fails.
        rig.kafka
            .fail(Request::Fetch, &[Answer::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE]);
        rig.kafka
            .fail(Request::ListOffsets, &[Answer::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR]);
        rig.append(numbered(round * 40, 40)).await;
        let part = read(&mut *reader, 40).await;
        let mut numbers: Vec<usize> = part
            .values()
            .flatten()
            .map(|record| std::str::from_utf8(&record.value).unwrap().parse().unwrap())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (round * 40..(round + 1) * 40).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_takes_no_right_to_the_group() {
    let rig = rig(1, 2, |_| ());
    rig.append(numbered(0, 50)).await;
    rig.kafka.fail(
        Request::FindCoordinator,
        &[Answer::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 1000],
    );
    let mut reader = rig.reader().await;
    assert_complete(&read(&mut *reader, 50).await, 50);
    // Nor does a wait end in an error.
    assert!(
        reader
            .next(1 << 20, Duration::from_millis(300))
            .await
            .unwrap()
            .is_empty()
    );
}
