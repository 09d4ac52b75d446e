//! Takes events or turns them away, one after the other, and gathers the taken ones into chunks for the log.

use std::borrow::Cow;
use std::sync::Arc;

use threatstream_backend::Record;
use threatstream_detection::decode::{FieldError, Format, check_native, vendor_id};
use threatstream_domain::{Envelope, MAX_EVENT_BYTES, Timestamp};

use super::answer::Outcome;
use super::identity::Naming;

/// A chunk goes to the log when it has this many records, or this many bytes: a body of ten million empty events must not become ten million
/// records in memory.
const CHUNK_RECORDS: usize = 8192;
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// What every event of a request has in common.
pub(super) struct Stamp {
    pub(super) format: Format,
    pub(super) received_at: Timestamp,
    pub(super) sender: Arc<str>,
    pub(super) naming: Naming,
}

/// Takes events or turns them away.
pub(super) struct Admission<F> {
    stamp: Stamp,
    flush: F,
    records: Vec<Record>,
    bytes: usize,
    outcome: Outcome,
    stopped: bool,
}

impl<F: FnMut(Vec<Record>) -> bool> Admission<F> {
    pub(super) fn new(stamp: Stamp, flush: F) -> Self {
        Self {
            stamp,
            flush,
            records: Vec::new(),
            bytes: 0,
            outcome: Outcome::default(),
            stopped: false,
        }
    }

    /// True when nobody wants the rest any more.
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    /// A JSON document.
    pub(super) fn json(&mut self, line: u64, raw: &str) {
        match check(raw) {
            Ok(()) => {
                let id = vendor_id(raw);
                self.take(line, raw, id);
            }
            Err(errors) => self.outcome.reject(line, errors),
        }
    }

    /// A log line. One that holds a JSON event is held to what such an event must be.
    pub(super) fn text(&mut self, line: u64, raw: &str) {
        if raw.len() > MAX_EVENT_BYTES {
            return self.outcome.reject(line, vec![too_large(raw.len())]);
        }
        let json = matches!(
            self.stamp.format,
            Format::Auto | Format::Native | Format::Json | Format::CloudTrail | Format::GcpAudit
        );
        if !json || !raw.trim_ascii_start().starts_with('{') {
            return self.take(line, raw, None);
        }
        match check_native(raw) {
            // What only looks like JSON is a line of text.
            Err(errors) if errors.iter().any(|error| !error.field.is_empty()) => self.outcome.reject(line, errors),
            Ok(()) | Err(_) => {
                let id = vendor_id(raw);
                self.take(line, raw, id);
            }
        }
    }

    /// A line that cannot be read at all.
    pub(super) fn unreadable(&mut self, line: u64, message: &str) {
        self.outcome.reject(
            line,
            vec![FieldError {
                field: String::new(),
                message: message.to_owned(),
            }],
        );
    }

    fn take(&mut self, line: u64, raw: &str, id: Option<Cow<'_, str>>) {
        let event_id = id.unwrap_or_else(|| self.stamp.naming.name(line).into());
        let envelope = Envelope {
            event_id,
            format: self.stamp.format.as_str().into(),
            received_at: self.stamp.received_at,
            sender: Cow::Borrowed(&self.stamp.sender),
            raw: raw.into(),
        };
        let record = Record::of_event(&envelope, None);
        self.bytes += record.value.len() + record.key.len();
        self.records.push(record);
        self.outcome.accepted += 1;
        if self.records.len() >= CHUNK_RECORDS || self.bytes >= CHUNK_BYTES {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        self.bytes = 0;
        if !(self.flush)(std::mem::take(&mut self.records)) {
            self.stopped = true;
        }
    }

    /// Hands over what is left; the counts and the errors.
    pub(super) fn finish(mut self) -> Outcome {
        if !self.records.is_empty() {
            self.hand_over();
        }
        self.outcome
    }
}

fn check(raw: &str) -> Result<(), Vec<FieldError>> {
    if raw.len() <= MAX_EVENT_BYTES {
        return check_native(raw);
    }
    // The fields of an event that is too large are still looked at: an id of ten megabytes is to be called that.
    let mut errors = check_native(raw).err().unwrap_or_default();
    errors.push(too_large(raw.len()));
    Err(errors)
}

fn too_large(bytes: usize) -> FieldError {
    FieldError {
        field: String::new(),
        message: format!("the event has {bytes} bytes; {MAX_EVENT_BYTES} are allowed"),
    }
}
