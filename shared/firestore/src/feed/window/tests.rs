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
    late: Vec<i64>,
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
            late: Vec::new(),
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
        self.late.extend(heard.late.iter().map(|at| at.as_micros() / STEP));
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
fn commits_told_of_in_another_order_come_in_theirs() {
    let mut scene = Scene::after(5);
    scene.hear(told(9));
    scene.hear(told(7));
    scene.hear(told(6));
    scene.hear(target(TargetChangeType::NoChange, Some(8)));
    assert_eq!(scene.given, [6, 7]);
    // 8 was committed before 9, and told of after it.
    scene.hear(told(8));
    scene.hear(target(TargetChangeType::NoChange, Some(9)));
    assert_eq!((scene.given, scene.late), (vec![6, 7, 8, 9], vec![]));
}

/// As Firestore's emulator does it, now and then, with two commits made at once.
#[test]
fn what_a_snapshot_left_out_comes_late_once_and_is_known_to_be_late() {
    for reopens in [false, true] {
        let mut scene = Scene::after(5);
        scene.hear(told(7));
        scene.hear(target(TargetChangeType::NoChange, Some(8)));
        assert_eq!(scene.given, [7]);
        scene.newest = 9;
        if reopens {
            scene.reopen();
        } else {
            scene.hear(told(6));
            scene.tell_all(7, false);
            scene.hear(target(TargetChangeType::NoChange, Some(9)));
        }
        scene.reset();
        assert_eq!((scene.given, scene.late), (vec![7, 6, 8, 9], vec![6]));
    }
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
        prop_assert!(scene.late.is_empty());
    }
}
