//! Matching the records of a batch, over the cores when there are many, each by itself: one that the detector fails on does
//! not stop the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use threatstream_backend::{LoggedRecord, Record};
use threatstream_detection::{DeadLetter, Detector, Incoming, Match};
use threatstream_domain::{MARK_HEADER, MAX_EVENT_BYTES, MAX_EVENT_ID_BYTES, truncated};

use crate::StageError;

/// Below so many records a batch is matched where it is; more are spread over the cores.
const SPREAD_FROM: usize = 256;
/// A dead letter's reason is cut after so many bytes: it may cite the record.
const REASON_BYTES: usize = 1024;
/// A dead letter keeps so many bytes of the record's own headers.
const HEADERS_BYTES: usize = 16 * 1024;

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

/// The record as it was, and beside it where it came from and why it is here. Whoever wrote it kept to no bound (a broker
/// compares what it allows with compressed batches): what is longer than an event may be is cut, and `dead-letter-bytes` says
/// how long it was. The letter must fit into any log, or the partition would stand still.
pub(crate) fn dead_letter(topic: &str, partition: u32, record: &LoggedRecord, reason: &str) -> Record {
    let header = |name: &str, value: String| (name.to_owned(), Bytes::from(value));
    // Before the record's own: the first of a name is the one that is found.
    let mut headers = vec![
        header("dead-letter-reason", truncated(reason, REASON_BYTES).to_owned()),
        header("dead-letter-topic", topic.to_owned()),
        header("dead-letter-partition", partition.to_string()),
        header("dead-letter-offset", record.offset.to_string()),
    ];
    if record.value.len() > MAX_EVENT_BYTES {
        headers.push(header("dead-letter-bytes", record.value.len().to_string()));
    }
    let mut room = HEADERS_BYTES;
    for (name, value) in &record.headers {
        // The names and lengths take room, too.
        if let Some(left) = room.checked_sub(name.len() + value.len() + 16) {
            room = left;
            headers.push((name.clone(), value.clone()));
        }
    }
    Record {
        key: truncated(&record.key, MAX_EVENT_ID_BYTES).to_owned(),
        value: record.value.slice(..record.value.len().min(MAX_EVENT_BYTES)),
        headers,
    }
}

#[cfg(test)]
mod tests {
    use threatstream_domain::Timestamp;

    use super::*;

    #[test]
    fn a_dead_letter_fits_whatever_the_record_was() {
        let big = |letter: char| letter.to_string().repeat(3 << 20);
        let record = LoggedRecord {
            offset: 7,
            timestamp: Timestamp::EPOCH,
            key: big('k'),
            value: big('v').into(),
            headers: vec![
                ("small".to_owned(), "kept".into()),
                ("big".to_owned(), big('h').into()),
                (big('n'), Bytes::new()),
                ("dead-letter-reason".to_owned(), "forged".into()),
            ],
        };
        let letter = dead_letter("raw", 3, &record, &big('r'));
        let headers = letter.headers.iter().map(|(name, value)| name.len() + value.len());
        let bytes = letter.key.len() + letter.value.len() + headers.sum::<usize>();
        assert!(bytes < 300 << 10, "{bytes}");
        let find = |name: &str| {
            letter
                .headers
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_ref())
        };
        assert_eq!(find("dead-letter-bytes"), Some(b"3145728".as_slice()));
        assert_eq!(find("small"), Some(b"kept".as_slice()));
        assert_eq!(find("big"), None);
        assert!(find("dead-letter-reason").is_some_and(|reason| reason.starts_with(b"rrr")));
    }

    #[test]
    fn a_record_of_the_usual_size_is_kept_as_it_was() {
        let record = LoggedRecord {
            offset: 7,
            timestamp: Timestamp::EPOCH,
            key: "k".to_owned(),
            value: "v".repeat(MAX_EVENT_BYTES).into(),
            headers: vec![("h".to_owned(), "1".into())],
        };
        let letter = dead_letter("raw", 3, &record, "why");
        assert_eq!((&letter.key, &letter.value), (&record.key, &record.value));
        assert!(letter.headers.contains(&record.headers[0]));
        assert!(letter.headers.iter().all(|(name, _)| name != "dead-letter-bytes"));
    }
}
