//! Reading: partitions assigned by hand, at offsets that are looked at before they are trusted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use threatstream_backend::{BackendError, LogReader, LoggedRecord, PartitionRecords, Watermarks};
use threatstream_domain::Timestamp;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::admin::{Admin, number};
use crate::clients::{Clients, Lent};
use crate::context::{Context, Trouble};
use crate::fault::{from_code, from_error, is_unknown_topic, rejected, unavailable};
use crate::{native, record};

/// What this does, in errors.
const DOING: &str = "reading";

/// Waits are at most this long, so that a deadline can be told.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// Reads some partitions of a topic.
pub(crate) struct Reader {
    admin: Arc<Admin>,
    trouble: Arc<Trouble>,
    client: Lent,
    progress: Progress,
    /// The assignment does not say where to read on, and must be made again.
    astray: bool,
}

/// How far a reader is.
struct Progress {
    topic: String,
    partitions: BTreeMap<u32, Cursor>,
    /// Taken from the client and not yet handed out: stays when a call is cancelled.
    pending: BTreeMap<u32, Vec<LoggedRecord>>,
    pending_bytes: usize,
    /// What the connections have suffered since records came last.
    suffered: Option<Code>,
}

struct Cursor {
    /// The offset to read next.
    next: u64,
    /// The time of the last record.
    last: Timestamp,
    watermarks: Watermarks,
    /// Where the partition ended when it was assigned, for readers of what is committed: to there its end is looked for.
    end_at_start: u64,
    /// The end was reached since the last record came.
    is_at_end: bool,
    /// The end that was looked into last, because no record came from before it.
    looked_at: u64,
}

impl Reader {
    /// A reader of these partitions, each from its offset.
    pub(crate) async fn open(
        clients: &Arc<Clients>,
        admin: Arc<Admin>,
        trouble: Arc<Trouble>,
        topic: &str,
        from: &[(u32, u64)],
    ) -> Result<Self, BackendError> {
        let partitions = from.iter().map(|(partition, next)| {
            let cursor = Cursor {
                next: *next,
                last: Timestamp::EPOCH,
                watermarks: Watermarks::default(),
                end_at_start: 0,
                is_at_end: false,
                looked_at: 0,
            };
            (*partition, cursor)
        });
        let mut reader = Self {
            admin,
            trouble,
            client: clients.lend().await?,
            progress: Progress {
                topic: topic.to_owned(),
                partitions: partitions.collect(),
                pending: BTreeMap::new(),
                pending_bytes: 0,
                suffered: None,
            },
            astray: true,
        };
        reader.assign().await?;
        Ok(reader)
    }

    /// Points the client to where each partition is to be read on. An offset that retention has passed moves on to where the
    /// partition begins, and the gap shows in the offsets; one beyond the end has no honest answer.
    async fn assign(&mut self) -> Result<(), BackendError> {
        let progress = &mut self.progress;
        let topic = &progress.topic;
        let partitions: Vec<u32> = progress.partitions.keys().copied().collect();
        let marks = self.admin.watermarks(topic, &partitions).await?;
        let mut assignment = TopicPartitionList::with_capacity(partitions.len());
        for ((partition, cursor), marks) in progress.partitions.iter_mut().zip(marks) {
            let next = cursor.next;
            if next > marks.high {
                return Err(rejected(format!(
                    "partition {partition} of {topic} ends at {}, before the offset {next}: was the topic deleted and made \
                     again?",
                    marks.high
                )));
            }
            if next < marks.low {
                tracing::warn!(
                    topic,
                    partition,
                    next,
                    low = marks.low,
                    "the log begins after the offset"
                );
            }
            cursor.watermarks = marks;
            cursor.end_at_start = marks.high;
            cursor.is_at_end = false;
            let start = next.max(marks.low);
            let offset = Offset::Offset(i64::try_from(start).map_err(|_| rejected(format!("{start} is no offset")))?);
            assignment
                .add_partition_offset(topic, number(*partition), offset)
                .map_err(|error| from_error(&error, DOING, topic))?;
        }
        self.client
            .assign(&assignment)
            .map_err(|error| from_error(&error, DOING, topic))?;
        self.astray = false;
        Ok(())
    }
}

#[async_trait]
impl LogReader for Reader {
    async fn next(&mut self, max_bytes: usize, wait: Duration) -> Result<Vec<PartitionRecords>, BackendError> {
        let deadline = Instant::now() + wait.min(LONGEST_WAIT);
        if self.progress.partitions.is_empty() {
            sleep_until(deadline).await;
            return Ok(Vec::new());
        }
        loop {
            if self.astray {
                self.assign().await?;
            }
            let Self {
                client,
                progress,
                astray,
                ..
            } = self;
            *astray = progress.drain(client, max_bytes)?;
            if !progress.pending.is_empty() {
                self.trouble.is_over();
                return Ok(progress.take(client));
            }
            if *astray {
                // The next call assigns, too.
                if Instant::now() >= deadline {
                    return Ok(Vec::new());
                }
                continue;
            }
            match timeout_at(deadline, client.recv()).await {
                Ok(event) => *astray = progress.receive(event)?,
                Err(_) => {
                    *astray = progress.has_unread_end(client);
                    return progress.nothing().map_err(|error| self.trouble.explain(error));
                }
            }
        }
    }
}

impl Progress {
    /// Takes what the client has fetched, without waiting, up to the budget. True: the client has lost its place.
    fn drain(&mut self, client: &StreamConsumer<Context>, max_bytes: usize) -> Result<bool, BackendError> {
        let mut stream = client.stream();
        while self.pending.is_empty() || self.pending_bytes < max_bytes {
            let Some(Some(event)) = stream.next().now_or_never() else {
                break;
            };
            if self.receive(event)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes one event. True: the client has lost its place.
    fn receive(&mut self, event: KafkaResult<BorrowedMessage<'_>>) -> Result<bool, BackendError> {
        match event {
            Ok(message) => self.accept(&message),
            Err(KafkaError::MessageConsumption(Code::AutoOffsetReset)) => return Ok(true),
            Err(KafkaError::PartitionEOF(partition)) => self.end(partition),
            Err(error) => self.bear(&error)?,
        }
        Ok(false)
    }

    /// The client has come to the end of a partition. It gives no records that are a transaction's marker, or of a transaction that was
    /// given up; but when it was assigned, the partition ended at least where it was said to end then, so that nothing comes before that.
    fn end(&mut self, partition: i32) {
        let Ok(partition) = u32::try_from(partition) else {
            return;
        };
        if let Some(cursor) = self.partitions.get_mut(&partition) {
            cursor.is_at_end = true;
            if cursor.next < cursor.end_at_start {
                cursor.next = cursor.end_at_start;
                self.pending.entry(partition).or_default();
            }
        }
    }

    /// Whether a partition that was read to its end goes on beyond its last record, as the last answer of a broker shows: what is there is
    /// known when it is assigned again. An end is looked into once: records of a transaction that is under way lie before it, and come later.
    fn has_unread_end(&mut self, client: &StreamConsumer<Context>) -> bool {
        let mut has = false;
        for (partition, cursor) in &mut self.partitions {
            if cursor.is_at_end
                && let (_, Some(high)) = native::cached_watermarks(client, &self.topic, number(*partition))
                && high > cursor.next.max(cursor.looked_at)
            {
                cursor.looked_at = high;
                has = true;
            }
        }
        has
    }

    fn accept(&mut self, message: &BorrowedMessage<'_>) {
        let (Ok(partition), Ok(offset)) = (u32::try_from(message.partition()), u64::try_from(message.offset())) else {
            return;
        };
        if message.topic() != self.topic {
            return;
        }
        // What an assignment before this one had fetched already.
        let Some(cursor) = self
            .partitions
            .get_mut(&partition)
            .filter(|cursor| offset >= cursor.next)
        else {
            return;
        };
        let record = record::logged(message, offset, cursor.last);
        cursor.next = offset + 1;
        cursor.is_at_end = false;
        cursor.last = record.timestamp;
        self.pending_bytes += record::logged_size(&record);
        self.pending.entry(partition).or_default().push(record);
        self.suffered = None;
    }

    /// librdkafka mends connections and leaderships by itself, and tells of them all the same.
    fn bear(&mut self, error: &KafkaError) -> Result<(), BackendError> {
        match error {
            KafkaError::MessageConsumptionFatal(_) => Err(from_error(error, DOING, &self.topic)),
            // Nothing is read by the group; who may not report progress may read all the same.
            KafkaError::MessageConsumption(Code::GroupAuthorizationFailed) => Ok(()),
            error => match error.rdkafka_error_code() {
                Some(code) if !from_code(code, DOING, &self.topic).is_retryable() => {
                    Err(from_code(code, DOING, &self.topic))
                }
                code => {
                    self.suffered = code.or(self.suffered);
                    Ok(())
                }
            },
        }
    }

    /// The wait is over and nothing came: because there is nothing, or because no broker answers.
    fn nothing(&mut self) -> Result<Vec<PartitionRecords>, BackendError> {
        match self.suffered.take() {
            Some(code)
                if is_unknown_topic(code) || matches!(code, Code::AllBrokersDown | Code::Resolve | Code::SSL) =>
            {
                Err(unavailable(format!("{DOING} {}: {code}", self.topic)))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn take(&mut self, client: &StreamConsumer<Context>) -> Vec<PartitionRecords> {
        self.pending_bytes = 0;
        std::mem::take(&mut self.pending)
            .into_iter()
            .map(|(partition, records)| {
                let mut watermarks = Watermarks::default();
                let mut next_offset = records.last().map_or(0, |last| last.offset + 1);
                if let Some(cursor) = self.partitions.get_mut(&partition) {
                    let (low, high) = native::cached_watermarks(client, &self.topic, number(partition));
                    let known = &mut cursor.watermarks;
                    known.low = known.low.max(low.unwrap_or_default());
                    known.high = known.high.max(high.unwrap_or_default()).max(cursor.next);
                    watermarks = *known;
                    next_offset = cursor.next;
                }
                PartitionRecords {
                    partition,
                    records,
                    next_offset,
                    watermarks,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(next: u64, end_at_start: u64) -> Progress {
        let cursor = Cursor {
            next,
            last: Timestamp::EPOCH,
            watermarks: Watermarks {
                low: 0,
                high: end_at_start,
            },
            end_at_start,
            is_at_end: false,
            looked_at: 0,
        };
        Progress {
            topic: "raw".to_owned(),
            partitions: BTreeMap::from([(2, cursor)]),
            pending: BTreeMap::new(),
            pending_bytes: 0,
            suffered: None,
        }
    }

    fn end(progress: &mut Progress, partition: i32) {
        assert!(!progress.receive(Err(KafkaError::PartitionEOF(partition))).unwrap());
    }

    #[test]
    fn offsets_before_the_end_that_hold_no_record_are_passed_over() {
        let mut progress = progress(7, 9);
        end(&mut progress, 2);
        assert_eq!(progress.partitions[&2].next, 9);
        assert!(progress.pending[&2].is_empty(), "it is told, with no record");
    }

    #[test]
    fn an_end_where_the_records_end_tells_nothing() {
        for next in [9, 12] {
            let mut progress = progress(next, 9);
            end(&mut progress, 2);
            assert_eq!(progress.partitions[&2].next, next, "what came later counts");
            assert!(progress.pending.is_empty() && progress.partitions[&2].is_at_end);
        }
    }

    #[test]
    fn the_end_of_another_partition_is_not_ours() {
        let mut progress = progress(7, 9);
        end(&mut progress, 3);
        end(&mut progress, -1);
        assert_eq!(progress.partitions[&2].next, 7);
        assert!(progress.pending.is_empty());
    }
}
