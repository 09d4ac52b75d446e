//! Appends inside a transaction: offsets, times, blocks, the cap.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use threatstream_backend::BackendError;
use threatstream_domain::Timestamp;
use tokio::sync::oneshot;

use crate::block::Segment;
use crate::fault::{Fault, full, int, uint};
use crate::log::retention;
use crate::log::slot::{Slot, block_id};
use crate::log::tail::{Tail, TailSegment};
use crate::writer::Promise;

/// Small segments of one transaction share a block up to about this many bytes.
const BLOCK_BYTES: usize = 256 * 1024;

/// What can be done again may go beyond the cap by this part of it,
const RESERVE_PART: u64 = 4;
/// or by this many bytes where that is more.
const MIN_RESERVE: u64 = 64 << 20;

/// Where its segments went, in the order given, or why nowhere.
pub(crate) type Answered = Result<Vec<Arc<TailSegment>>, BackendError>;

/// An append on its way.
pub(crate) struct Append {
    pub(crate) topic: i64,
    pub(crate) promise: Promise,
    pub(crate) count: u64,
    pub(crate) segments: Vec<Segment>,
    pub(crate) answer: oneshot::Sender<Answered>,
}

impl Append {
    pub(crate) fn bytes(&self) -> usize {
        self.segments.iter().map(Segment::stored_bytes).sum()
    }

    pub(crate) fn answer(self, answered: Answered) {
        // Who no longer waits needs no answer.
        drop(self.answer.send(answered));
    }
}

/// Where a partition begins and ends, and what it takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head {
    pub(crate) low: u64,
    pub(crate) high: u64,
    pub(crate) bytes: u64,
}

/// A topic that somebody works by checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Guarded {
    pub(crate) topic: i64,
    pub(crate) name: String,
}

struct Block {
    first_offset: u64,
    next_offset: u64,
    last_time: i64,
    data: Vec<u8>,
}

/// The ends of the partitions, known without asking the file.
pub(crate) struct Heads {
    slots: HashMap<Slot, Head>,
    last_time: i64,
    total_bytes: u64,
    max_bytes: u64,
    guarded: Vec<Guarded>,
    /// Nothing more may go from the log in this transaction.
    exhausted: bool,
    open: HashMap<Slot, Block>,
    staged: Vec<(Slot, Arc<TailSegment>)>,
    moved: Vec<Slot>,
    stale: bool,
}

impl Heads {
    pub(crate) fn load(db: &Connection, max_bytes: u64, guarded: Vec<Guarded>) -> rusqlite::Result<Self> {
        let mut heads = Self {
            slots: HashMap::new(),
            last_time: 0,
            total_bytes: 0,
            max_bytes,
            guarded,
            exhausted: false,
            open: HashMap::new(),
            staged: Vec::new(),
            moved: Vec::new(),
            stale: false,
        };
        heads.reload(db)?;
        Ok(heads)
    }

    /// Forgets a transaction that failed.
    pub(crate) fn reload(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.exhausted = false;
        self.open.clear();
        self.staged.clear();
        self.moved.clear();
        self.read(db)
    }

    /// Reads them from the file, after a failure has made what is known uncertain. Time never runs backwards even then.
    fn read(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.slots.clear();
        self.total_bytes = 0;
        // Stays set when reading fails, so that nothing is appended at an offset that may be wrong.
        self.stale = true;
        let mut query = db.prepare_cached("SELECT slot, low, high, bytes, last_time FROM log_partition")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let head = Head {
                low: uint(row.get(1)?),
                high: uint(row.get(2)?),
                bytes: uint(row.get(3)?),
            };
            self.total_bytes += head.bytes;
            self.last_time = self.last_time.max(row.get(4)?);
            self.slots.insert(Slot(row.get(0)?), head);
        }
        self.stale = false;
        Ok(())
    }

    /// What is known may no longer be what the file has.
    pub(crate) fn mark_stale(&mut self) {
        self.stale = true;
    }

    pub(crate) fn refresh(&mut self, db: &Connection) -> rusqlite::Result<()> {
        if self.stale { self.read(db) } else { Ok(()) }
    }

    pub(crate) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    pub(crate) fn guarded(&self) -> &[Guarded] {
        &self.guarded
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = (Slot, Head)> {
        self.slots.iter().map(|(slot, head)| (*slot, *head))
    }

    /// A partition has lost its oldest records.
    pub(crate) fn trimmed(&mut self, slot: Slot, low: u64, bytes: u64) {
        if let Some(head) = self.slots.get_mut(&slot) {
            head.low = low;
            head.bytes = head.bytes.saturating_sub(bytes);
            self.total_bytes = self.total_bytes.saturating_sub(bytes);
            self.moved.push(slot);
        }
    }

    /// Whether there is room for an append, made where it may be made; the error for its caller when there is none.
    ///
    /// The cap binds what is promised. Who works the log must be able to write on when it is full, or it would stay full: what
    /// can be done again has a reserve.
    pub(crate) fn admit(&mut self, db: &Connection, append: &Append) -> Result<Option<BackendError>, Fault> {
        self.refresh(db)?;
        let bytes = append.bytes() as u64;
        let fits = self.total_bytes.saturating_add(bytes) <= self.max_bytes || self.make_room(db, bytes)?;
        let admitted = fits || append.promise == Promise::Redoable && self.reserve_holds(append.topic, bytes);
        Ok((!admitted).then(|| {
            full(format!(
                "the log has reached its cap of {} bytes, and no record in it may go yet",
                self.max_bytes
            ))
        }))
    }

    fn make_room(&mut self, db: &Connection, bytes: u64) -> Result<bool, Fault> {
        // Checkpoints do not move between the appends of a transaction: to look once is enough.
        if !self.exhausted {
            self.exhausted = !retention::make_room(db, self, bytes, self.max_bytes)?;
        }
        Ok(!self.exhausted)
    }

    /// Whether a topic may go this far beyond the cap, when nothing may go any more.
    fn reserve_holds(&self, topic: i64, bytes: u64) -> bool {
        if self.guarded.iter().all(|guarded| guarded.topic != topic) {
            // What such a topic had has made room already: there is this append, and the next one finds it gone.
            return true;
        }
        let reserve = MIN_RESERVE.max(self.max_bytes / RESERVE_PART);
        let slots = self.slots.iter().filter(|(slot, _)| slot.topic() == topic);
        let taken = slots.fold(bytes, |sum, (_, head)| sum.saturating_add(head.bytes));
        // A topic that has not used the reserve by itself goes on, even if others did, or if the cap was lowered below what
        // there is: whoever must be done with it before anything may go has nothing to do yet.
        taken <= reserve || self.total_bytes.saturating_add(bytes) <= self.max_bytes.saturating_add(reserve)
    }

    /// Gives an append its offsets and times. An error spoils the transaction: offsets are given that nothing was written at.
    pub(crate) fn stage(
        &mut self,
        db: &Connection,
        append: &mut Append,
        now: Timestamp,
    ) -> Result<Vec<Arc<TailSegment>>, Fault> {
        let time = now.as_micros().max(self.last_time + 1);
        self.last_time = time + int(append.count.saturating_sub(1));
        let mut answered = Vec::with_capacity(append.segments.len());
        for segment in append.segments.drain(..) {
            let slot = Slot::of(append.topic, segment.partition);
            let head = self.slots.entry(slot).or_default();
            let first_offset = head.high;
            head.high += segment.entries.len() as u64;
            head.bytes += segment.stored_bytes() as u64;
            self.total_bytes += segment.stored_bytes() as u64;
            let block = self.open.entry(slot).or_insert_with(|| Block {
                first_offset,
                next_offset: first_offset,
                last_time: 0,
                data: Vec::new(),
            });
            segment.write(Timestamp::from_micros(time), &mut block.data);
            block.next_offset = head.high;
            block.last_time = self.last_time;
            if block.data.len() >= BLOCK_BYTES
                && let Some(block) = self.open.remove(&slot)
            {
                insert(db, slot, &block)?;
                self.exhausted = false;
            }
            self.moved.push(slot);
            let kept = Arc::new(TailSegment::new(segment, first_offset, time));
            self.staged.push((slot, Arc::clone(&kept)));
            answered.push(kept);
        }
        Ok(answered)
    }

    /// Writes what is staged.
    pub(crate) fn flush(&mut self, db: &Connection) -> Result<(), Fault> {
        self.exhausted = false;
        for (slot, block) in self.open.drain() {
            insert(db, slot, &block)?;
        }
        self.moved.sort_unstable();
        self.moved.dedup();
        let mut update = db.prepare_cached(
            "INSERT INTO log_partition (slot, low, high, bytes, last_time) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (slot) DO UPDATE SET low = ?2, high = ?3, bytes = ?4, last_time = max(last_time, ?5)",
        )?;
        for slot in &self.moved {
            let head = self.slots.get(slot).copied().unwrap_or_default();
            update.execute(params![
                slot.0,
                int(head.low),
                int(head.high),
                int(head.bytes),
                self.last_time
            ])?;
        }
        Ok(())
    }

    /// Shows readers what was committed.
    pub(crate) fn publish(&mut self, tail: &Tail) {
        if self.moved.is_empty() {
            return;
        }
        let heads = self
            .moved
            .drain(..)
            .map(|slot| (slot, self.slots.get(&slot).copied().unwrap_or_default()));
        tail.publish(self.staged.drain(..), heads);
    }
}

fn insert(db: &Connection, slot: Slot, block: &Block) -> Result<(), Fault> {
    db.prepare_cached("INSERT INTO block (id, first_offset, last_time, bytes, data) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            block_id(slot, block.next_offset - 1),
            int(block.first_offset),
            block.last_time,
            int(block.data.len() as u64),
            block.data
        ])?;
    Ok(())
}
