//! Reading on from where a reader stopped: from memory when it keeps up, from the file when it is behind.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use threatstream_backend::{BackendError, LogReader, LoggedRecord, PartitionRecords, Watermarks};
use tokio::sync::watch;
use tokio::time::Instant;

use super::slot::{Slot, last_offset};
use super::tail::{Found, Tail, TailSegment};
use crate::block::decode;
use crate::embedded::Embedded;
use crate::fault::{Fault, int, uint, unavailable};
use crate::readers::Readers;

/// What a record takes besides its key and value, when a reader's `max_bytes` is counted.
const RECORD_BYTES: usize = 64;

pub(crate) struct Reader {
    tail: Arc<Tail>,
    readers: Arc<Readers>,
    topic: i64,
    from: Vec<(u32, u64)>,
    appended: watch::Receiver<()>,
}

impl Reader {
    pub(crate) fn new(embedded: &Embedded, topic: i64, from: Vec<(u32, u64)>) -> Self {
        Self {
            tail: Arc::clone(&embedded.inner.tail),
            readers: Arc::clone(&embedded.inner.readers),
            topic,
            from,
            appended: embedded.inner.tail.watch(topic),
        }
    }

    async fn look(&self, max_bytes: usize) -> Result<Vec<PartitionRecords>, BackendError> {
        match self.tail.find(self.topic, &self.from, max_bytes) {
            Found::Nothing => Ok(Vec::new()),
            Found::Segments(found) => {
                let lanes = self.from.iter().zip(found).map(|((partition, _), recent)| Lane {
                    partition: *partition,
                    next: recent.next,
                    marks: recent.marks,
                    source: Memory(recent.segments),
                    head: None,
                    records: Vec::new(),
                });
                Ok(merge(lanes.collect(), max_bytes)?)
            }
            Found::InFile => {
                let (topic, from) = (self.topic, self.from.clone());
                self.readers
                    .read(move |db| {
                        let lanes = from
                            .iter()
                            .map(|(partition, next)| file_lane(db, topic, *partition, *next));
                        merge(lanes.collect::<Result<_, _>>()?, max_bytes)
                    })
                    .await
            }
        }
    }
}

#[async_trait]
impl LogReader for Reader {
    async fn next(&mut self, max_bytes: usize, wait: Duration) -> Result<Vec<PartitionRecords>, BackendError> {
        let deadline = Instant::now() + wait;
        loop {
            self.appended.borrow_and_update();
            let read = self.look(max_bytes).await?;
            for part in &read {
                if let (Some(last), Some(from)) = (
                    part.records.last(),
                    self.from.iter_mut().find(|(partition, _)| *partition == part.partition),
                ) {
                    from.1 = last.offset + 1;
                }
            }
            if !read.is_empty() {
                return Ok(read);
            }
            match tokio::time::timeout_at(deadline, self.appended.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(unavailable("the database is closed")),
                Err(_) => return Ok(Vec::new()),
            }
        }
    }
}

/// Where a partition's records come from.
trait Source {
    /// Whether everything up to the high watermark is within the look, but for what retention has removed.
    const WHOLE: bool;

    /// The first record at or after an offset; `None`: there is no more here.
    fn record(&mut self, from: u64) -> Result<Option<LoggedRecord>, Fault>;
}

struct Memory(VecDeque<Arc<TailSegment>>);

impl Source for Memory {
    const WHOLE: bool = false;

    fn record(&mut self, from: u64) -> Result<Option<LoggedRecord>, Fault> {
        while let Some(segment) = self.0.front() {
            match segment.record(from) {
                Some(record) => return Ok(Some(record)),
                None => drop(self.0.pop_front()),
            }
        }
        Ok(None)
    }
}

struct File<'a> {
    db: &'a Connection,
    slot: Slot,
    unpacked: VecDeque<LoggedRecord>,
}

impl Source for File<'_> {
    const WHOLE: bool = true;

    fn record(&mut self, from: u64) -> Result<Option<LoggedRecord>, Fault> {
        if self.unpacked.is_empty() {
            // The first block that ends at the offset or after it.
            let ids = self.slot.ids();
            let first = ids.start().saturating_add(int(from)).min(*ids.end());
            let block = self
                .db
                .prepare_cached(
                    "SELECT id, first_offset, data FROM block WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1",
                )?
                .query_row(params![first, ids.end()], |row| {
                    let data = row.get_ref(2)?.as_blob()?;
                    Ok((row.get::<_, i64>(0)?, decode(data, uint(row.get(1)?), from)))
                })
                .optional()?;
            if let Some((id, records)) = block
                && last_offset(id) >= from
            {
                self.unpacked = records?.into();
            }
        }
        Ok(self.unpacked.pop_front())
    }
}

fn file_lane<'a>(db: &'a Connection, topic: i64, partition: u32, next: u64) -> Result<Lane<File<'a>>, Fault> {
    let slot = Slot::of(topic, partition);
    let marks = db
        .prepare_cached("SELECT low, high FROM log_partition WHERE slot = ?1")?
        .query_row([slot.0], |row| {
            Ok(Watermarks {
                low: uint(row.get(0)?),
                high: uint(row.get(1)?),
            })
        })
        .optional()?
        .unwrap_or_default();
    Ok(Lane {
        partition,
        next,
        marks,
        source: File {
            db,
            slot,
            unpacked: VecDeque::new(),
        },
        head: None,
        records: Vec::new(),
    })
}

/// A partition while it is read.
struct Lane<S> {
    partition: u32,
    next: u64,
    marks: Watermarks,
    source: S,
    head: Option<LoggedRecord>,
    records: Vec<LoggedRecord>,
}

/// Takes records in the order of their times, over all partitions, until the budget is used. What is left out is then newer
/// than everything taken, whatever its partition.
fn merge<S: Source>(mut lanes: Vec<Lane<S>>, max_bytes: usize) -> Result<Vec<PartitionRecords>, Fault> {
    let mut bytes = 0;
    'taking: while bytes < max_bytes.max(1) {
        let mut oldest: Option<usize> = None;
        for at in 0..lanes.len() {
            let lane = &mut lanes[at];
            if lane.head.is_none() && lane.next < lane.marks.high {
                lane.head = lane.source.record(lane.next)?;
                if lane.head.is_none() && S::WHOLE {
                    // Retention has taken the rest. Other partitions have theirs still.
                    lane.next = lane.marks.high;
                } else if lane.head.is_none() {
                    // There is more, but not within the look: what other partitions have may be newer.
                    break 'taking;
                }
            }
            let Some(time) = lane.head.as_ref().map(|record| record.timestamp) else {
                continue;
            };
            if oldest.is_none_or(|other| lanes[other].head.as_ref().is_none_or(|record| time < record.timestamp)) {
                oldest = Some(at);
            }
        }
        let Some(lane) = oldest.map(|at| &mut lanes[at]) else {
            break;
        };
        let Some(record) = lane.head.take() else { break };
        let headers: usize = record
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        bytes += RECORD_BYTES + record.key.len() + record.value.len() + headers;
        lane.next = record.offset + 1;
        lane.records.push(record);
    }
    Ok(lanes
        .into_iter()
        .filter(|lane| !lane.records.is_empty())
        .map(|lane| PartitionRecords {
            partition: lane.partition,
            next_offset: lane.next,
            records: lane.records,
            watermarks: lane.marks,
        })
        .collect())
}
