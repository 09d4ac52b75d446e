//! What an event log must do.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::PATIENCE;
use super::samples::record;
use crate::{Durability, EventLog, LogReader, LoggedRecord, Record, Watermarks, partition_of};

const MEBIBYTE: usize = 1 << 20;

async fn everything_from(log: &dyn EventLog, topic: &str) -> Box<dyn LogReader> {
    let partitions = log.partitions(topic).await.unwrap();
    let from: Vec<(u32, u64)> = (0..partitions).map(|partition| (partition, 0)).collect();
    log.open(topic, &from).await.unwrap()
}

/// Reads until there are as many records, by partition.
async fn read(reader: &mut dyn LogReader, wanted: usize) -> BTreeMap<u32, Vec<LoggedRecord>> {
    let deadline = Instant::now() + PATIENCE;
    let mut read: BTreeMap<u32, Vec<LoggedRecord>> = BTreeMap::new();
    let mut count = 0;
    while count < wanted {
        assert!(Instant::now() < deadline, "{count} of {wanted} records came");
        for part in reader.next(MEBIBYTE, Duration::from_millis(500)).await.unwrap() {
            count += part.records.len();
            read.entry(part.partition).or_default().extend(part.records);
        }
    }
    assert_eq!(count, wanted, "more came than was appended");
    read
}

fn numbered(count: usize) -> Vec<Record> {
    (0..count)
        .map(|at| record(&format!("key-{}", at % 17), &format!("value {at}")))
        .collect()
}

/// Records lie in their partitions in the order given, at the positions that the append said.
pub async fn appends_keep_order(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.order");
    let mut reader = everything_from(&*log, &topic).await;
    let records = numbered(500);
    let mut positions = Vec::new();
    for (chunk, durability) in records
        .chunks(100)
        .zip([Durability::Promised, Durability::Redoable].into_iter().cycle())
    {
        positions.extend(log.append(&topic, chunk.to_vec(), durability).await.unwrap());
    }
    let read = read(&mut *reader, records.len()).await;
    for (record, position) in records.iter().zip(&positions) {
        let logged = &read[&position.partition][usize::try_from(position.offset).unwrap()];
        assert_eq!((&logged.key, &logged.value), (&record.key, &record.value));
    }
    for (partition, records) in &read {
        let offsets: Vec<u64> = records.iter().map(|record| record.offset).collect();
        assert_eq!(
            offsets,
            (0..records.len() as u64).collect::<Vec<_>>(),
            "of partition {partition}"
        );
        let numbers: Vec<usize> = records
            .iter()
            .map(|record| std::str::from_utf8(&record.value[6..]).unwrap().parse().unwrap())
            .collect();
        assert!(numbers.is_sorted(), "of partition {partition}");
    }
}

/// The partition follows from the key, by the one function that all producers share.
pub async fn equal_keys_share_a_partition(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.keys");
    let partitions = log.partitions(&topic).await.unwrap();
    let records = numbered(100);
    let positions = log.append(&topic, records.clone(), Durability::Promised).await.unwrap();
    for (record, position) in records.iter().zip(positions) {
        assert_eq!(position.partition, partition_of(record.key.as_bytes(), partitions));
    }
}

/// Keys, values and headers come back byte for byte, whatever is in them.
pub async fn records_come_back_as_given(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.bytes");
    let given = vec![
        record("", ""),
        record("\u{0}\u{1b}[31m<b>'; DROP TABLE x", "\u{0}"),
        Record {
            key: "grün".to_owned(),
            value: (0..=255).cycle().take(200_000).collect::<Vec<u8>>().into(),
            headers: vec![
                ("mark".to_owned(), vec![0xff, 0, 1].into()),
                ("mark".to_owned(), Vec::new().into()),
            ],
        },
    ];
    let positions = log.append(&topic, given.clone(), Durability::Promised).await.unwrap();
    let mut reader = everything_from(&*log, &topic).await;
    let read = read(&mut *reader, given.len()).await;
    for (given, position) in given.iter().zip(positions) {
        let logged = &read[&position.partition][usize::try_from(position.offset).unwrap()];
        assert_eq!(
            (&logged.key, &logged.value, &logged.headers),
            (&given.key, &given.value, &given.headers)
        );
    }
}

/// What many callers append at once is all there, each record once, at the position its caller was told.
pub async fn concurrent_appends_lose_nothing(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.concurrent");
    log.partitions(&topic).await.unwrap();
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let (log, topic) = (Arc::clone(&log), topic.clone());
        callers.spawn(async move {
            let mut told = Vec::new();
            for round in 0..10 {
                let records: Vec<Record> = (0..7)
                    .map(|at| record(&format!("{caller}-{at}"), &format!("{caller}/{round}/{at}")))
                    .collect();
                let positions = log.append(&topic, records.clone(), Durability::Promised).await.unwrap();
                told.extend(
                    positions
                        .into_iter()
                        .zip(records.into_iter().map(|record| record.value)),
                );
            }
            told
        });
    }
    let told = callers.join_all().await.concat();
    let mut reader = everything_from(&*log, &topic).await;
    let read = read(&mut *reader, 16 * 10 * 7).await;
    let places: HashSet<_> = told.iter().map(|(position, _)| *position).collect();
    assert_eq!(places.len(), told.len(), "two records were told the same position");
    for (position, value) in told {
        assert_eq!(
            read[&position.partition][usize::try_from(position.offset).unwrap()].value,
            value
        );
    }
}

/// What a reader was given does not come again.
pub async fn a_reader_goes_on_where_it_stopped(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.go-on");
    let mut reader = everything_from(&*log, &topic).await;
    for round in 0..3 {
        log.append(&topic, numbered(40), Durability::Redoable).await.unwrap();
        let part = read(&mut *reader, 40).await;
        let offsets: usize = part.values().map(Vec::len).sum();
        assert_eq!(offsets, 40, "in round {round}");
    }
    assert!(reader.next(MEBIBYTE, Duration::ZERO).await.unwrap().is_empty());
}

/// A reader begins at its offsets, and reads only the partitions it was given.
pub async fn a_reader_starts_where_it_is_told(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.start");
    let records: Vec<Record> = (0..30).map(|at| record("one key", &format!("{at}"))).collect();
    let partition = log.append(&topic, records, Durability::Promised).await.unwrap()[0].partition;
    let mut reader = log.open(&topic, &[(partition, 25)]).await.unwrap();
    let part = read(&mut *reader, 5).await;
    assert_eq!(
        part[&partition].iter().map(|record| record.offset).collect::<Vec<_>>(),
        [25, 26, 27, 28, 29]
    );
    let partitions = log.partitions(&topic).await.unwrap();
    if partitions > 1 {
        let mut reader = log.open(&topic, &[((partition + 1) % partitions, 0)]).await.unwrap();
        assert!(
            reader
                .next(MEBIBYTE, Duration::from_millis(50))
                .await
                .unwrap()
                .is_empty()
        );
    }
}

/// `max_bytes` bounds what comes at once, but at least one record comes; nothing is left out by that.
pub async fn a_reader_takes_about_what_it_is_told(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.budget");
    let value = "x".repeat(10_000);
    let records: Vec<Record> = (0..100).map(|at| record(&format!("key-{at}"), &value)).collect();
    log.append(&topic, records, Durability::Promised).await.unwrap();
    let mut reader = everything_from(&*log, &topic).await;
    let deadline = Instant::now() + PATIENCE;
    let (mut count, mut largest) = (0, 0);
    while count < 100 {
        assert!(Instant::now() < deadline, "{count} of 100 records came");
        let parts = reader.next(50_000, Duration::from_millis(500)).await.unwrap();
        let some = parts.iter().map(|part| part.records.len()).sum::<usize>();
        count += some;
        largest = largest.max(some);
    }
    assert_eq!(count, 100);
    assert!(largest <= 50, "{largest} records of 10 kB came within 50 kB");
    log.append(&topic, vec![record("key", &value)], Durability::Promised)
        .await
        .unwrap();
    let one = timeout(PATIENCE, reader.next(1, PATIENCE)).await.unwrap().unwrap();
    assert_eq!(one.iter().map(|part| part.records.len()).sum::<usize>(), 1);
}

/// A reader that waits is given what is appended meanwhile, long before its wait is over.
pub async fn an_append_wakes_a_reader(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.wake");
    let mut reader = everything_from(&*log, &topic).await;
    let waiting = tokio::spawn(async move { reader.next(MEBIBYTE, 10 * PATIENCE).await.unwrap() });
    tokio::task::yield_now().await;
    log.append(&topic, vec![record("key", "value")], Durability::Promised)
        .await
        .unwrap();
    let parts = timeout(PATIENCE, waiting).await.expect("the reader slept on").unwrap();
    assert_eq!(parts[0].records[0].value, "value");
}

/// A reader with nothing to read waits as long as told, and no longer.
pub async fn an_idle_reader_returns_in_time(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.idle");
    let mut reader = everything_from(&*log, &topic).await;
    let started = Instant::now();
    let parts = timeout(PATIENCE, reader.next(MEBIBYTE, Duration::from_millis(100))).await;
    assert!(parts.expect("the reader never returned").unwrap().is_empty());
    assert!(
        started.elapsed() >= Duration::from_millis(90),
        "after {:?}",
        started.elapsed()
    );
}

/// Watermarks come for every partition, and the high ones add up to what was appended.
pub async fn watermarks_say_where_partitions_end(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.marks");
    let partitions = log.partitions(&topic).await.unwrap() as usize;
    assert_eq!(
        log.watermarks(&topic).await.unwrap(),
        vec![Watermarks::default(); partitions]
    );
    let positions = log.append(&topic, numbered(60), Durability::Promised).await.unwrap();
    let marks = log.watermarks(&topic).await.unwrap();
    assert_eq!(marks.iter().map(|marks| marks.high).sum::<u64>(), 60);
    for position in positions {
        assert!(position.offset < marks[position.partition as usize].high);
    }
    let mut reader = everything_from(&*log, &topic).await;
    let parts = timeout(PATIENCE, reader.next(MEBIBYTE, PATIENCE))
        .await
        .unwrap()
        .unwrap();
    for part in parts {
        assert_eq!(part.watermarks, marks[part.partition as usize]);
    }
}

/// Within a partition, no record is older than the one before it.
pub async fn times_never_run_backwards(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.times");
    for _ in 0..20 {
        log.append(&topic, numbered(20), Durability::Redoable).await.unwrap();
    }
    let mut reader = everything_from(&*log, &topic).await;
    for (partition, records) in read(&mut *reader, 400).await {
        assert!(
            records.is_sorted_by_key(|record| record.timestamp),
            "of partition {partition}"
        );
    }
}

/// Appending nothing succeeds.
pub async fn an_empty_append_does_nothing(log: Arc<dyn EventLog>, prefix: &str) {
    let topic = format!("{prefix}.empty");
    assert_eq!(log.append(&topic, Vec::new(), Durability::Promised).await.unwrap(), []);
    assert!(
        log.watermarks(&topic)
            .await
            .unwrap()
            .iter()
            .all(|marks| marks.high == 0)
    );
}

/// What goes to one topic is not seen in another.
pub async fn topics_are_apart(log: Arc<dyn EventLog>, prefix: &str) {
    let (one, other) = (format!("{prefix}.one"), format!("{prefix}.other"));
    let mut reader = everything_from(&*log, &other).await;
    log.append(&one, numbered(10), Durability::Promised).await.unwrap();
    log.append(&other, vec![record("key", "mine")], Durability::Promised)
        .await
        .unwrap();
    let read = read(&mut *reader, 1).await;
    assert!(read.values().flatten().all(|record| record.value == "mine"));
}

/// The check succeeds on what works.
pub async fn it_is_reachable(log: Arc<dyn EventLog>, _prefix: &str) {
    log.check().await.unwrap();
}
