//! Matching the records of a batch, over the cores when there are many, each by itself: one that the detector fails on does
//! not stop the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use threatstream_backend::{LoggedRecord, Record};
use threatstream_detection::{DeadLetter, Detector, Incoming, Match};
use threatstream_domain::MARK_HEADER;

use crate::StageError;

/// Below so many records a batch is matched where it is; more are spread over the cores.
const SPREAD_FROM: usize = 256;

/// What became of a record: its fingerprint and what was found, or why it is no event.
pub(crate) type Examined = Result<(u128, Vec<Match>), DeadLetter>;

/// Decodes and matches records, in order; many are spread over the cores.
pub(crate) async fn examine(
    detector: &Arc<Detector>,
    topic: &str,
    records: &Arc<Vec<(u32, LoggedRecord)>>,
) -> Result<Vec<Examined>, StageError> {
    if records.len() < SPREAD_FROM {
        let one = |(partition, record): &(u32, LoggedRecord)| examine_one(detector, topic, *partition, record);
        return Ok(records.iter().map(one).collect());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let chunk = records.len().div_ceil(cores);
    let parts = (0..records.len()).step_by(chunk).map(|start| {
        let (detector, topic, records) = (detector.clone(), topic.to_owned(), records.clone());
        tokio::task::spawn_blocking(move || {
            let end = (start + chunk).min(records.len());
            let part = &records[start..end];
            part.iter()
                .map(|(partition, record)| examine_one(&detector, &topic, *partition, record))
                .collect::<Vec<_>>()
        })
    });
    let mut examined = Vec::with_capacity(records.len());
    for part in futures_util::future::join_all(parts).await {
        examined.extend(part.map_err(|_| StageError::Stopping)?);
    }
    Ok(examined)
}

fn examine_one(detector: &Detector, topic: &str, partition: u32, record: &LoggedRecord) -> Examined {
    // A panic in a decoder or a rule is a defect of ours. It must not pass for a clean event, and must not stop the others.
    let caught = catch_unwind(AssertUnwindSafe(|| {
        open_and_examine(detector, topic, partition, record)
    }));
    caught.unwrap_or_else(|_| {
        tracing::error!(
            partition,
            offset = record.offset,
            "the detector failed on a record; it goes to the dead letters"
        );
        Err(DeadLetter::Defect)
    })
}

fn open_and_examine(detector: &Detector, topic: &str, partition: u32, record: &LoggedRecord) -> Examined {
    let opened = detector.open(Incoming {
        value: &record.value,
        mark: record.header(MARK_HEADER).map(AsRef::as_ref),
        logged_at: record.timestamp,
        origin: (topic, partition, record.offset),
    })?;
    let found = detector.examine(&opened);
    Ok((opened.fingerprint, found))
}

/// The record as it was, and beside it where it came from and why it is here.
pub(crate) fn dead_letter(topic: &str, partition: u32, record: &LoggedRecord, reason: &str) -> Record {
    let header = |name: &str, value: String| (name.to_owned(), Bytes::from(value));
    let mut headers = record.headers.clone();
    headers.extend([
        header("dead-letter-reason", reason.to_owned()),
        header("dead-letter-topic", topic.to_owned()),
        header("dead-letter-partition", partition.to_string()),
        header("dead-letter-offset", record.offset.to_string()),
    ]);
    Record {
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
    }
}
