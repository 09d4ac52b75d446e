//! What a listener has said, made into records that each come once and in order.
//!
//! A listener may say everything again at any time (it resets: after an outage, or, an emulator, after each write), takes back
//! what has expired, and is only right at certain moments: when it says that what it has sent is everything up to a time.
//!
//! That makes the order. Firestore tells of commits in any order, but the `read_time` of a target change is that of a consistent
//! snapshot (`TargetChange` in Firestore's API), which holds every commit up to it, and read times grow. So what is later than the
//! read time is held back, what is not is given out sorted by when it was committed, and nothing that comes after can lie before it.
//!
//! Google's emulator does not keep to that. On the wire, with commits made at once, it now and then ends a snapshot with a read time
//! one to six milliseconds after the `create_time` of a document that it tells of only in the next. Such a record is given out all
//! the same, late: clients apply by id and version, and to lose it would be worse.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use firestore::gcloud_sdk::google::firestore::v1::Document;
use firestore::gcloud_sdk::google::firestore::v1::listen_response::ResponseType;
use firestore::gcloud_sdk::google::firestore::v1::target_change::TargetChangeType;
use threatstream_backend::BackendError;
use threatstream_domain::Timestamp;

use super::place::Place;
use crate::codec::UpdateTime;
use crate::error::{of_read, rejected, unavailable};

/// The one target that a stream has.
pub(super) const TARGET: i32 = 1;

/// What is known of the feed's end.
#[derive(Debug)]
pub(super) struct Window {
    /// Given out, or not wanted because it lies before where the reader began. Only as far back as a listener may repeat it.
    given: BTreeSet<Place>,
    /// Nothing before this place is wanted.
    begin: Place,
    /// Said by the listener, and not yet known to be everything up to a time.
    pending: BTreeMap<Place, Document>,
    /// The documents that the listener counts as found now.
    found: HashSet<String>,
    /// All that it has told of since the stream was opened, which is what is billed.
    told: HashSet<String>,
    /// Whether the listener has caught up since it was opened or has reset.
    current: bool,
    /// Everything committed up to here was given out.
    complete_to: Timestamp,
}

/// What a message of the listener comes to.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Records to give out, in order.
    pub(super) records: Vec<(Place, Document)>,
    /// How many documents it told of that the stream had not told of before.
    pub(super) new: usize,
    /// True when it said that it has told everything up to a time.
    pub(super) settled: bool,
    /// When those of the records were committed that lie before a record given out earlier.
    pub(super) late: Vec<Timestamp>,
}

impl Window {
    /// After a place.
    pub(super) fn after(place: Place) -> Self {
        Self {
            given: BTreeSet::new(),
            complete_to: place.committed_at(),
            begin: place,
            pending: BTreeMap::new(),
            found: HashSet::new(),
            told: HashSet::new(),
            current: false,
        }
    }

    /// Everything committed up to here was given out.
    pub(super) fn complete_to(&self) -> Timestamp {
        self.complete_to
    }

    /// How many documents the listener holds on to.
    pub(super) fn held(&self) -> usize {
        self.found.len()
    }

    /// How many of them a listener opened now, that begins at `since`, would not.
    pub(super) fn past(&self, since: Timestamp) -> usize {
        self.given.range(..Place::before(since)).count()
    }

    /// A stream is opened that tells of what was committed after `since`; what the one before had said is said again.
    pub(super) fn reopen(&mut self, since: Timestamp) {
        let since = Place::before(since.min(self.complete_to));
        self.given = self.given.split_off(&since);
        self.begin = since.max(self.begin.clone());
        self.pending.clear();
        self.found.clear();
        self.told.clear();
        self.current = false;
    }

    /// It was found out otherwise that everything up to here was given out.
    pub(super) fn confirm(&mut self, complete_to: Timestamp) {
        self.complete_to = self.complete_to.max(complete_to);
    }

    /// True when a document would be news.
    pub(super) fn is_news(&self, place: &Place) -> bool {
        *place > self.begin && !self.given.contains(place)
    }

    /// Takes in a message; `read_at` is told of the times in it, and makes ours of them.
    ///
    /// # Errors
    /// The stream is to be opened again: it ended its target, or it has lost count.
    pub(super) fn take(
        &mut self,
        message: ResponseType,
        read_at: impl Fn(&UpdateTime) -> Option<Timestamp>,
    ) -> Result<Heard, BackendError> {
        match message {
            ResponseType::DocumentChange(change) => {
                let Some(document) = change.document else {
                    return Ok(Heard::default());
                };
                if change.removed_target_ids.contains(&TARGET) {
                    self.lose(&document.name);
                    return Ok(Heard::default());
                }
                self.found.insert(document.name.clone());
                let new = usize::from(self.told.insert(document.name.clone()));
                let place = Place::of(&document)?;
                if self.is_news(&place) {
                    self.pending.insert(place, document);
                }
                Ok(Heard {
                    new,
                    ..Heard::default()
                })
            }
            ResponseType::DocumentDelete(delete) => {
                self.lose(&delete.document);
                Ok(Heard::default())
            }
            ResponseType::DocumentRemove(remove) => {
                self.lose(&remove.document);
                Ok(Heard::default())
            }
            ResponseType::Filter(filter) => {
                if usize::try_from(filter.count).is_ok_and(|count| count == self.found.len()) {
                    return Ok(Heard::default());
                }
                Err(unavailable("the listener has lost count"))
            }
            ResponseType::TargetChange(change) => {
                let ours = change.target_ids.is_empty() || change.target_ids.contains(&TARGET);
                match TargetChangeType::try_from(change.target_change_type) {
                    _ if !ours => Ok(Heard::default()),
                    Ok(TargetChangeType::Remove) => Err(change.cause.map_or_else(
                        || unavailable("the listener has ended"),
                        |cause| of_read(&tonic::Status::new(cause.code.into(), cause.message)),
                    )),
                    Ok(TargetChangeType::Reset) => {
                        self.pending.clear();
                        self.found.clear();
                        self.current = false;
                        Ok(Heard::default())
                    }
                    Ok(TargetChangeType::Current) => {
                        self.current = true;
                        Ok(self.settle(change.read_time.as_ref().and_then(read_at)))
                    }
                    Ok(TargetChangeType::NoChange) => Ok(self.settle(change.read_time.as_ref().and_then(read_at))),
                    Ok(TargetChangeType::Add) => Ok(Heard::default()),
                    Err(_) => Err(rejected("the listener said something unknown")),
                }
            }
        }
    }

    /// What expired is told no more: it is no loss, and is not given out after the fact.
    fn lose(&mut self, name: &str) {
        self.found.remove(name);
        self.pending.retain(|_, document| document.name != name);
    }

    /// Everything committed up to `read_at` has been said.
    fn settle(&mut self, read_at: Option<Timestamp>) -> Heard {
        let Some(read_at) = read_at.filter(|_| self.current) else {
            return Heard::default();
        };
        let later = match read_at.as_micros().checked_add(1) {
            Some(next) => self.pending.split_off(&Place::before(Timestamp::from_micros(next))),
            None => BTreeMap::new(),
        };
        let settled = std::mem::replace(&mut self.pending, later);
        self.complete_to = self.complete_to.max(read_at);
        let late = match self.given.last() {
            Some(last) => settled.range(..last).map(|(place, _)| place.committed_at()).collect(),
            None => Vec::new(),
        };
        self.given.extend(settled.keys().cloned());
        Heard {
            records: settled.into_iter().collect(),
            new: 0,
            settled: true,
            late,
        }
    }
}

#[cfg(test)]
mod tests;
