//! Frames encoded once, for everyone.

use bytes::Bytes;
use parking_lot::Mutex;
use threatstream_backend::FeedRecord;
use threatstream_domain::Severity;

use crate::filter::{Filter, Topic};
use crate::message;
use crate::seq::{Cursor, Seq};
use crate::wire;

/// Filters of which a segment keeps the bytes that pass them; clients with rarer filters have them put together for themselves.
const KEPT_VIEWS: usize = 32;

struct Entry {
    end: usize,
    topic: Topic,
    severity: Option<Severity>,
}

/// A record's frames within a segment.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) cursor: Cursor,
    pub(crate) first: usize,
    pub(crate) end: usize,
}

/// Frames that went into the ring together, as they go onto the wire. Records are never split.
pub(crate) struct Segment {
    bytes: Bytes,
    entries: Vec<Entry>,
    marks: Vec<Mark>,
    views: Mutex<Vec<(Filter, View)>>,
}

/// Bytes for the wire, and how many frames they are.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) bytes: Bytes,
    pub(crate) frames: usize,
}

impl Segment {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn frames(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Whether it holds a protocol ping, which a live client will have answered by the next.
    pub(crate) fn probes(&self) -> bool {
        self.marks.is_empty() && self.entries.iter().any(|entry| entry.topic == Topic::Liveness)
    }

    /// What passes a filter, from an entry on.
    pub(crate) fn view(&self, filter: Filter, from: usize) -> View {
        if filter.is_open() {
            let start = if from == 0 {
                0
            } else {
                self.entries.get(from - 1).map_or(self.bytes.len(), |entry| entry.end)
            };
            return View {
                bytes: self.bytes.slice(start..),
                frames: self.entries.len().saturating_sub(from),
            };
        }
        if from > 0 {
            return self.filtered(filter, from);
        }
        let mut views = self.views.lock();
        if let Some((_, view)) = views.iter().find(|(known, _)| *known == filter) {
            return view.clone();
        }
        let view = self.filtered(filter, 0);
        if views.len() < KEPT_VIEWS {
            views.push((filter, view.clone()));
        }
        view
    }

    fn filtered(&self, filter: Filter, from: usize) -> View {
        let mut bytes = Vec::new();
        let mut frames = 0;
        let mut start = if from == 0 {
            0
        } else {
            self.entries.get(from - 1).map_or(self.bytes.len(), |entry| entry.end)
        };
        for entry in self.entries.iter().skip(from) {
            if filter.admits(entry.topic, entry.severity) {
                bytes.extend_from_slice(&self.bytes[start..entry.end]);
                frames += 1;
            }
            start = entry.end;
        }
        View {
            bytes: bytes.into(),
            frames,
        }
    }
}

/// Puts a segment together.
#[derive(Default)]
pub(crate) struct SegmentBuilder {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    marks: Vec<Mark>,
    json: Vec<u8>,
}

impl SegmentBuilder {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record of the feed. `after` is the record before it.
    pub(crate) fn record(&mut self, epoch: &str, after: Cursor, record: &FeedRecord) {
        let first = self.entries.len();
        let at = record.committed_at.to_string();
        let mut seq = Seq::at(after);
        for frame in &record.frames {
            seq.taken += 1;
            self.json.clear();
            message::stored(&mut self.json, frame, &seq, epoch, &at);
            wire::text(&mut self.bytes, &self.json);
            self.entries.push(Entry {
                end: self.bytes.len(),
                topic: frame.kind.into(),
                severity: frame.severity,
            });
        }
        self.marks.push(Mark {
            cursor: record.cursor.0.as_str().into(),
            first,
            end: self.entries.len(),
        });
    }

    /// Adds a frame that does not come from the store.
    pub(crate) fn passing(&mut self, topic: Topic, json: &[u8]) {
        wire::text(&mut self.bytes, json);
        self.entries.push(Entry {
            end: self.bytes.len(),
            topic,
            severity: None,
        });
    }

    /// Adds a protocol ping.
    pub(crate) fn ping(&mut self) {
        wire::control(&mut self.bytes, wire::PING, b"");
        self.entries.push(Entry {
            end: self.bytes.len(),
            topic: Topic::Liveness,
            severity: None,
        });
    }

    pub(crate) fn finish(self) -> Segment {
        Segment {
            bytes: self.bytes.into(),
            entries: self.entries,
            marks: self.marks,
            views: Mutex::default(),
        }
    }
}
