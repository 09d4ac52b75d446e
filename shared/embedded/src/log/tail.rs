//! The newest records, kept in memory for readers that keep up, and who is told of new ones.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use threatstream_backend::{LoggedRecord, Watermarks};
use threatstream_domain::Timestamp;
use tokio::sync::watch;

use super::slot::Slot;
use crate::block::{Entry, Segment};
use crate::writer::Head;

/// About as many bytes of records are kept, over all topics.
const MAX_BYTES: usize = 8 << 20;
/// What a record takes besides its texts.
const RECORD_BYTES: usize = 120;

/// Records of one append in one partition, as they were given.
#[derive(Debug)]
pub(crate) struct TailSegment {
    pub(crate) partition: u32,
    pub(crate) first_offset: u64,
    time: i64,
    entries: Vec<Entry>,
    bytes: usize,
}

impl TailSegment {
    pub(crate) fn new(segment: Segment, first_offset: u64, time: i64) -> Self {
        let bytes = segment
            .entries
            .iter()
            .map(|Entry { record, .. }| {
                let headers: usize = record
                    .headers
                    .iter()
                    .map(|(name, value)| name.len() + value.len())
                    .sum();
                RECORD_BYTES + record.key.len() + record.value.len() + headers
            })
            .sum();
        Self {
            partition: segment.partition,
            first_offset,
            time,
            entries: segment.entries,
            bytes,
        }
    }

    fn end(&self) -> u64 {
        self.first_offset + self.entries.len() as u64
    }

    /// The index in the append and the offset of each record.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u32, u64)> {
        self.entries
            .iter()
            .zip(self.first_offset..)
            .map(|(entry, offset)| (entry.index, offset))
    }

    /// The record at an offset.
    pub(crate) fn record(&self, offset: u64) -> Option<LoggedRecord> {
        let at = usize::try_from(offset.checked_sub(self.first_offset)?).ok()?;
        let Entry { index, record } = self.entries.get(at)?;
        Some(LoggedRecord {
            offset,
            timestamp: Timestamp::from_micros(self.time + i64::from(*index)),
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.clone(),
        })
    }
}

#[derive(Default)]
struct SlotTail {
    marks: Watermarks,
    segments: VecDeque<Arc<TailSegment>>,
}

#[derive(Default)]
struct Inner {
    slots: HashMap<Slot, SlotTail>,
    /// Slots in the order of their segments' arrival: the oldest segment of all is the first of the first slot.
    order: VecDeque<Slot>,
    bytes: usize,
    watchers: HashMap<i64, watch::Sender<()>>,
    closed: bool,
}

/// What a reader finds in memory.
pub(crate) enum Found {
    /// There is nothing new.
    Nothing,
    /// Everything from where the reader is, up to what it wants: for each partition, in the order asked.
    Segments(Vec<Recent>),
    /// Some of it is in the file only.
    InFile,
}

/// What memory has of a partition for a reader.
#[derive(Default)]
pub(crate) struct Recent {
    /// Where the reader is, or where the partition begins if that is later.
    pub(crate) next: u64,
    pub(crate) marks: Watermarks,
    pub(crate) segments: VecDeque<Arc<TailSegment>>,
}

/// The newest records of every topic.
#[derive(Default)]
pub(crate) struct Tail {
    inner: Mutex<Inner>,
}

impl Tail {
    /// Makes a topic's partitions known.
    pub(crate) fn know(&self, slots: impl IntoIterator<Item = (Slot, Head)>) {
        let mut inner = self.inner.lock();
        for (slot, head) in slots {
            inner.watchers.entry(slot.topic()).or_default();
            inner.slots.entry(slot).or_default().marks = marks(head);
        }
    }

    /// Shows what one transaction brought, all of it at once.
    pub(crate) fn publish(
        &self,
        segments: impl Iterator<Item = (Slot, Arc<TailSegment>)>,
        heads: impl Iterator<Item = (Slot, Head)>,
    ) {
        let mut grown: Vec<i64> = Vec::new();
        let mut dropped = Vec::new();
        let mut inner = self.inner.lock();
        for (slot, segment) in segments {
            inner.bytes += segment.bytes;
            inner.order.push_back(slot);
            inner.slots.entry(slot).or_default().segments.push_back(segment);
            if !grown.contains(&slot.topic()) {
                grown.push(slot.topic());
            }
        }
        for (slot, head) in heads {
            inner.slots.entry(slot).or_default().marks = marks(head);
        }
        while inner.bytes > MAX_BYTES {
            let Some(oldest) = inner.order.pop_front() else { break };
            if let Some(segment) = inner.slots.get_mut(&oldest).and_then(|slot| slot.segments.pop_front()) {
                inner.bytes -= segment.bytes;
                dropped.push(segment);
            }
        }
        for topic in grown {
            inner.watchers.entry(topic).or_default().send_replace(());
        }
        // What is dropped may free megabytes: not while others wait for the lock.
        drop(inner);
        drop(dropped);
    }

    /// Told whenever records are appended to a topic; an error once nothing is appended any more.
    pub(crate) fn watch(&self, topic: i64) -> watch::Receiver<()> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return watch::Sender::default().subscribe();
        }
        inner.watchers.entry(topic).or_default().subscribe()
    }

    /// Nothing is appended any more: whoever waits is told.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.watchers.clear();
    }

    /// Where partitions begin and end, from one look.
    pub(crate) fn watermarks(&self, topic: i64, partitions: u32) -> Vec<Watermarks> {
        let inner = self.inner.lock();
        (0..partitions)
            .map(|partition| {
                inner
                    .slots
                    .get(&Slot::of(topic, partition))
                    .map(|slot| slot.marks)
                    .unwrap_or_default()
            })
            .collect()
    }

    /// What there is for a reader at these offsets, at most about `max_bytes` more than it wants.
    pub(crate) fn find(&self, topic: i64, from: &[(u32, u64)], max_bytes: usize) -> Found {
        let inner = self.inner.lock();
        let mut anything = false;
        let mut found = Vec::with_capacity(from.len());
        for (partition, offset) in from {
            let Some(slot) = inner.slots.get(&Slot::of(topic, *partition)) else {
                found.push(Recent::default());
                continue;
            };
            // What retention has removed is not looked for.
            let next = (*offset).max(slot.marks.low);
            let mut segments = VecDeque::new();
            if next < slot.marks.high {
                anything = true;
                if slot.segments.front().is_none_or(|first| next < first.first_offset) {
                    return Found::InFile;
                }
                let first = slot.segments.partition_point(|segment| segment.end() <= next);
                let mut bytes = 0;
                for segment in slot.segments.range(first..) {
                    segments.push_back(Arc::clone(segment));
                    bytes += segment.bytes;
                    // The first may lie mostly before the offset: one more makes sure of enough.
                    if bytes > max_bytes && segments.len() > 1 {
                        break;
                    }
                }
            }
            let marks = slot.marks;
            found.push(Recent { next, marks, segments });
        }
        if anything {
            Found::Segments(found)
        } else {
            Found::Nothing
        }
    }
}

fn marks(head: Head) -> Watermarks {
    Watermarks {
        low: head.low,
        high: head.high,
    }
}
