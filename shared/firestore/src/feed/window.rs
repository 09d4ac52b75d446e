//! What a listener has said, made into records that each come once and in order.
//!
//! A listener may say everything again at any time (it resets: after an outage, or, an emulator, after each write), takes back
//! what has expired, and is only right at certain moments: when it says that what it has sent is everything up to a time.

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
        self.given.extend(settled.keys().cloned());
        Heard {
            records: settled.into_iter().collect(),
            new: 0,
            settled: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use firestore::gcloud_sdk::google::firestore::v1::{DocumentChange, DocumentDelete, ExistenceFilter, TargetChange};
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{from_proto, to_proto};

    const STEP: i64 = 1_000_000;
    const OVERLAP: Duration = Duration::from_secs(4);

    fn document(number: i64) -> Document {
        Document {
            name: format!("projects/p/databases/d/documents/feed/{number:08}"),
            create_time: Some(to_proto(Timestamp::from_micros(number * STEP))),
            ..Document::default()
        }
    }

    fn told(number: i64) -> ResponseType {
        ResponseType::DocumentChange(DocumentChange {
            document: Some(document(number)),
            target_ids: vec![TARGET],
            removed_target_ids: Vec::new(),
        })
    }

    fn target(kind: TargetChangeType, at: Option<i64>) -> ResponseType {
        ResponseType::TargetChange(TargetChange {
            target_change_type: kind as i32,
            target_ids: Vec::new(),
            read_time: at.map(|number| to_proto(Timestamp::from_micros(number * STEP))),
            ..TargetChange::default()
        })
    }

    /// A feed that commits a record a second, a listener of it, and what a reader made of that.
    struct Scene {
        window: Window,
        /// The last record committed.
        newest: i64,
        /// The last record the listener told of.
        told: i64,
        /// The listener begins after this record.
        since: i64,
        given: Vec<i64>,
        billed: usize,
    }

    impl Scene {
        fn after(number: i64) -> Self {
            let mut scene = Self {
                window: Window::after(Place::of(&document(number)).unwrap()),
                newest: number,
                told: 0,
                since: 0,
                given: Vec::new(),
                billed: 0,
            };
            scene.reopen();
            scene
        }

        fn hear(&mut self, message: ResponseType) {
            let heard = self.window.take(message, |time| Some(from_proto(time))).unwrap();
            self.billed += heard.new;
            let numbers = heard
                .records
                .iter()
                .map(|(place, _)| place.committed_at().as_micros() / STEP);
            self.given.extend(numbers);
        }

        fn tell_all(&mut self, from: i64, backwards: bool) {
            let mut numbers: Vec<i64> = (from + 1..=self.newest).collect();
            if backwards {
                numbers.reverse();
            }
            numbers.into_iter().for_each(|number| self.hear(told(number)));
            self.told = self.newest;
        }

        fn snapshot(&mut self) {
            self.tell_all(self.told, true);
            self.hear(target(TargetChangeType::NoChange, Some(self.newest)));
        }

        fn reset(&mut self) {
            self.hear(target(TargetChangeType::Reset, None));
            self.tell_all(self.since, false);
            self.hear(target(TargetChangeType::Current, Some(self.newest)));
        }

        fn reopen(&mut self) {
            let since = self.window.complete_to().minus(OVERLAP);
            self.window.reopen(since);
            self.since = (since.as_micros() / STEP).max(0);
            self.tell_all(self.since, true);
            self.hear(target(TargetChangeType::Current, Some(self.newest)));
        }
    }

    #[test]
    fn nothing_is_given_before_the_listener_has_caught_up() {
        let mut scene = Scene::after(5);
        scene.newest = 7;
        scene.hear(target(TargetChangeType::Reset, None));
        scene.hear(told(7));
        scene.hear(target(TargetChangeType::NoChange, Some(7)));
        assert!(scene.given.is_empty(), "6 was never told of");
        scene.hear(told(6));
        scene.hear(target(TargetChangeType::Current, Some(7)));
        assert_eq!(scene.given, [6, 7]);
    }

    #[test]
    fn what_is_later_than_the_snapshot_waits_for_the_next() {
        let mut scene = Scene::after(5);
        scene.hear(told(8));
        scene.hear(target(TargetChangeType::NoChange, Some(7)));
        assert!(scene.given.is_empty());
        scene.hear(told(7));
        scene.hear(target(TargetChangeType::NoChange, Some(8)));
        assert_eq!(scene.given, [7, 8]);
    }

    #[test]
    fn a_listener_that_lost_count_or_its_target_is_opened_again() {
        let mut scene = Scene::after(5);
        scene.newest = 9;
        scene.snapshot();
        let count = |count| {
            ResponseType::Filter(ExistenceFilter {
                target_id: TARGET,
                count,
                ..ExistenceFilter::default()
            })
        };
        let held = i32::try_from(scene.window.held()).unwrap();
        scene.hear(count(held));
        let mut take = |message| scene.window.take(message, |time| Some(from_proto(time)));
        assert!(take(count(held - 1)).unwrap_err().is_retryable());
        assert!(take(target(TargetChangeType::Remove, None)).unwrap_err().is_retryable());
    }

    #[test]
    fn repetitions_are_neither_given_nor_billed_twice() {
        let mut scene = Scene::after(5);
        scene.newest = 9;
        scene.snapshot();
        let billed = scene.billed;
        scene.hear(told(9));
        scene.hear(told(8));
        scene.reset();
        assert_eq!((scene.given, scene.billed), (vec![6, 7, 8, 9], billed));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Commit(i64),
        TellSome(i64),
        Snapshot,
        Reset,
        Reopen,
        Expire(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1i64..6).prop_map(Step::Commit),
            (1i64..3).prop_map(Step::TellSome),
            Just(Step::Snapshot),
            Just(Step::Reset),
            Just(Step::Reopen),
            (1i64..20).prop_map(Step::Expire),
        ]
    }

    proptest! {
        #[test]
        fn each_record_comes_once_and_in_order(begin in 0i64..20, steps in proptest::collection::vec(step(), 1..60)) {
            let mut scene = Scene::after(begin);
            for step in steps {
                match step {
                    Step::Commit(records) => scene.newest += records,
                    Step::TellSome(records) => {
                        let to = (scene.told + records).min(scene.newest);
                        (scene.told + 1..=to).rev().for_each(|number| scene.hear(told(number)));
                        scene.told = to;
                    }
                    Step::Snapshot => scene.snapshot(),
                    Step::Reset => scene.reset(),
                    Step::Reopen => scene.reopen(),
                    // Of what was given out long ago: it has been kept for longer than readers may fall behind.
                    Step::Expire(age) => {
                        let number = (scene.given.last().copied().unwrap_or(begin) - age).max(0);
                        let document = document(number).name;
                        scene.hear(ResponseType::DocumentDelete(DocumentDelete { document, ..DocumentDelete::default() }));
                    }
                }
            }
            scene.snapshot();
            prop_assert_eq!(scene.given, (begin + 1..=scene.newest).collect::<Vec<_>>());
        }
    }
}
