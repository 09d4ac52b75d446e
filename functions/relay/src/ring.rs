//! The last frames, bounded, with a place for every client.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::segment::Segment;
use crate::seq::{Cursor, Seq};

/// A place in the ring: the next frame a client is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Number of the segment, counted since the start.
    pub(crate) segment: u64,
    /// Frame within it.
    pub(crate) entry: usize,
}

/// A place in the ring and the same place in the feed.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) position: Position,
    pub(crate) after: Cursor,
    pub(crate) epoch: Arc<str>,
}

/// What there is from a place on.
pub(crate) enum Taken {
    /// These; the client then stands at the place after them.
    Segments(Vec<Arc<Segment>>, Cursor),
    /// Nothing yet.
    UpToDate,
    /// The place is older than what is kept.
    Evicted,
}

struct Slot {
    segment: Arc<Segment>,
    after: Cursor,
}

struct State {
    /// Absent until the feed was reached for the first time.
    epoch: Option<Arc<str>>,
    slots: VecDeque<Slot>,
    first: u64,
    bytes: usize,
    frames: usize,
    /// The feed's place before the first slot.
    base: Cursor,
    /// The feed's place after the last slot.
    after: Cursor,
}

impl State {
    fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }
}

/// The last frames. Clients take what is new under a read lock, once for each time they wake.
pub(crate) struct Ring {
    state: RwLock<State>,
    moved: watch::Sender<u64>,
    closing: AtomicBool,
    max_bytes: usize,
    max_frames: usize,
}

impl Ring {
    pub(crate) fn new(max_bytes: usize, max_frames: usize) -> Self {
        let nowhere: Cursor = "".into();
        Self {
            state: RwLock::new(State {
                epoch: None,
                slots: VecDeque::new(),
                first: 0,
                bytes: 0,
                frames: 0,
                base: Arc::clone(&nowhere),
                after: nowhere,
            }),
            moved: watch::Sender::new(0),
            closing: AtomicBool::new(false),
            max_bytes,
            max_frames,
        }
    }

    /// Changes whenever there is something new, or the ring closes.
    pub(crate) fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state.read().epoch.is_some()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// No more frames will come; wakes everyone.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        self.moved.send_modify(|count| *count += 1);
    }

    /// Starts anew at a place of the feed. Every place of before is gone.
    pub(crate) fn reset(&self, epoch: &str, head: Cursor) {
        {
            let mut state = self.state.write();
            state.first = state.next() + 1;
            state.slots.clear();
            (state.bytes, state.frames) = (0, 0);
            state.base = Arc::clone(&head);
            state.after = head;
            state.epoch = Some(epoch.into());
        }
        self.wake();
    }

    /// Puts frames in, and the oldest out when there are too many.
    pub(crate) fn publish(&self, segment: Segment) {
        {
            let mut state = self.state.write();
            if let Some(mark) = segment.marks().last() {
                state.after = Arc::clone(&mark.cursor);
            }
            state.bytes += segment.len();
            state.frames += segment.frames();
            let after = Arc::clone(&state.after);
            state.slots.push_back(Slot {
                segment: Arc::new(segment),
                after,
            });
            // The newest stays whatever its size, or nobody would ever see it.
            while state.slots.len() > 1 && (state.bytes > self.max_bytes || state.frames > self.max_frames) {
                if let Some(slot) = state.slots.pop_front() {
                    state.bytes -= slot.segment.len();
                    state.frames -= slot.segment.frames();
                    state.base = slot.after;
                    state.first += 1;
                }
            }
        }
        self.wake();
    }

    /// Where the next frame will go; `None` until the feed was reached.
    pub(crate) fn head(&self) -> Option<Place> {
        let state = self.state.read();
        Some(Place {
            position: Position {
                segment: state.next(),
                entry: 0,
            },
            after: Arc::clone(&state.after),
            epoch: Arc::clone(state.epoch.as_ref()?),
        })
    }

    /// Whether everything from a place on is still here.
    pub(crate) fn holds(&self, position: Position) -> bool {
        let state = self.state.read();
        (state.first..=state.next()).contains(&position.segment)
    }

    /// What there is from a place on: one segment, and more while they have less than `max_bytes` in all.
    pub(crate) fn take(&self, position: Position, max_bytes: usize) -> Taken {
        let state = self.state.read();
        let Some(index) = position.segment.checked_sub(state.first) else {
            return Taken::Evicted;
        };
        let Ok(index) = usize::try_from(index) else {
            return Taken::UpToDate;
        };
        let mut taken = Vec::new();
        let mut bytes = 0;
        let mut after = None;
        for slot in state.slots.range(index.min(state.slots.len())..) {
            bytes += slot.segment.len();
            if !taken.is_empty() && bytes > max_bytes {
                break;
            }
            taken.push(Arc::clone(&slot.segment));
            after = Some(&slot.after);
        }
        after.map_or(Taken::UpToDate, |after| Taken::Segments(taken, Arc::clone(after)))
    }

    /// The place right after what a client has been told, if it is still here.
    pub(crate) fn locate(&self, seq: &Seq) -> Option<Position> {
        let state = self.state.read();
        let (mut segment, mut record) = locate_record(&state, &seq.after)?;
        if seq.taken == 0 {
            let entry = entry_of(&state, segment, record);
            return Some(Position {
                segment: state.first + segment as u64,
                entry,
            });
        }
        // Part of the record that follows was told already.
        loop {
            let marks = state.slots.get(segment)?.segment.marks();
            if let Some(mark) = marks.get(record) {
                let entry = mark.first + seq.taken;
                return (entry <= mark.end).then(|| Position {
                    segment: state.first + segment as u64,
                    entry,
                });
            }
            (segment, record) = (segment + 1, 0);
        }
    }
}

/// Slot and record that follow a place of the feed.
fn locate_record(state: &State, after: &Cursor) -> Option<(usize, usize)> {
    if *after == state.base {
        return Some((0, 0));
    }
    let slot = state.slots.partition_point(|slot| slot.after < *after);
    let marks = state.slots.get(slot)?.segment.marks();
    let record = marks.iter().position(|mark| mark.cursor == *after)?;
    Some((slot, record + 1))
}

fn entry_of(state: &State, segment: usize, record: usize) -> usize {
    let Some(slot) = state.slots.get(segment) else { return 0 };
    let marks = slot.segment.marks();
    match record.checked_sub(1).and_then(|before| marks.get(before)) {
        Some(mark) => mark.end,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use threatstream_backend::{FeedCursor, FeedRecord};
    use threatstream_domain::{Frame, FrameKind, Timestamp};

    use super::*;
    use crate::filter::{Filter, Topic};
    use crate::segment::SegmentBuilder;

    fn cursor(n: usize) -> Cursor {
        format!("{n:04}").into()
    }

    fn put(ring: &Ring, records: std::ops::Range<usize>, frames: usize) {
        let mut builder = SegmentBuilder::default();
        for n in records {
            let frames = (0..frames)
                .map(|i| Frame::new(FrameKind::NewThreat, None, &(n * 100 + i)).unwrap())
                .collect();
            let record = FeedRecord {
                cursor: FeedCursor(cursor(n).to_string()),
                committed_at: Timestamp::EPOCH,
                frames,
            };
            builder.record("e", cursor(n - 1), &record);
        }
        ring.publish(builder.finish());
    }

    fn frames_from(ring: &Ring, mut position: Position) -> Option<usize> {
        let mut count = 0;
        loop {
            match ring.take(position, 1) {
                Taken::Segments(segments, _) => {
                    for segment in segments {
                        count += segment.view(Filter::OPEN, position.entry).frames;
                        position = Position {
                            segment: position.segment + 1,
                            entry: 0,
                        };
                    }
                }
                Taken::UpToDate => return Some(count),
                Taken::Evicted => return None,
            }
        }
    }

    #[test]
    fn a_place_in_the_feed_is_found_and_nothing_is_missing_or_twice() {
        let ring = Ring::new(1 << 20, 1000);
        assert!(ring.head().is_none());
        ring.reset("e", cursor(0));
        put(&ring, 1..4, 3);
        let mut passing = SegmentBuilder::default();
        passing.passing(Topic::Metrics, b"{}");
        ring.publish(passing.finish());
        put(&ring, 4..5, 3);
        // Four records of three frames, and one frame that is not of the feed.
        for record in 0..=4 {
            for taken in 0..=3 {
                let place = ring.locate(&Seq {
                    after: cursor(record),
                    taken,
                });
                let missed = frames_from(&ring, place.unwrap_or(ring.head().unwrap().position));
                let stored = (4 - record) * 3 - if record < 4 { taken } else { 0 };
                let passing = usize::from(record < 3 || (record == 3 && taken == 0));
                assert_eq!(missed, Some(stored + passing), "record {record}, {taken} taken");
                assert_eq!(
                    place.is_none(),
                    record == 4 && taken > 0,
                    "record {record}, {taken} taken"
                );
            }
        }
        assert_eq!(
            ring.locate(&Seq {
                after: cursor(1),
                taken: 4
            }),
            None
        );
        assert_eq!(ring.locate(&Seq::at("0001x".into())), None);
        assert_eq!(ring.locate(&Seq::at("zzzz".into())), None);
    }

    #[test]
    fn it_stays_within_its_bounds_and_tells_who_lost_their_place() {
        let ring = Ring::new(1 << 20, 10);
        ring.reset("e", cursor(0));
        let start = ring.head().unwrap().position;
        for n in 1..100 {
            put(&ring, n..n + 1, 3);
        }
        assert!(ring.state.read().frames <= 10);
        assert!(!ring.holds(start));
        assert_eq!(frames_from(&ring, start), None);
        assert_eq!(ring.locate(&Seq::at(cursor(50))), None);
        let kept = ring.locate(&Seq::at(cursor(97))).unwrap();
        assert_eq!(frames_from(&ring, kept), Some(6));
        ring.reset("f", cursor(0));
        assert_eq!(frames_from(&ring, kept), None);
        assert_eq!(&*ring.head().unwrap().epoch, "f");
    }
}
