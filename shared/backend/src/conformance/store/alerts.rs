//! Stored alerts.

use std::sync::Arc;
use std::time::Duration;

use threatstream_domain::{Alert, AlertAction, AlertCase, AlertGroup, AlertStatus, FrameKind, Priority};

use super::{committed, told_after};
use crate::conformance::samples::{alert, alert_write, noon};
use crate::{AlertQuery, BackendError, Store};

fn all() -> AlertQuery {
    AlertQuery {
        limit: 100,
        ..AlertQuery::default()
    }
}

async fn open(store: &dyn Store, prefix: &str, groups: impl IntoIterator<Item = AlertGroup>) {
    let alerts = groups.into_iter().map(|group| alert_write(group, 0)).collect();
    committed(store, prefix, "alerts", |commit| commit.alerts = alerts).await;
}

/// Applies actions one after the other, each as a saved case.
async fn work(store: &dyn Store, id: &str, actions: &[AlertAction], at: u64) -> Alert {
    let now = noon().plus(Duration::from_secs(at));
    let mut alert = store.alert(id).await.unwrap().unwrap();
    for action in actions {
        let version = alert.case.version;
        assert!(alert.case.apply(action, "ana", None, now).unwrap());
        alert = store.save_case(id, version, alert.case, now).await.unwrap().unwrap();
    }
    alert
}

/// A new alert has the analyzer's part as given, and an untouched part of the analysts.
pub async fn an_alert_has_two_parts(store: Arc<dyn Store>, prefix: &str) {
    open(&*store, prefix, [alert("ALT-1")]).await;
    let stored = store.alert("ALT-1").await.unwrap().unwrap();
    assert_eq!((stored.group, stored.case), (alert("ALT-1"), AlertCase::default()));
    assert_eq!(store.alert("ALT-2").await.unwrap(), None);
    assert_eq!(store.totals(noon()).await.unwrap().alerts_generated, 1);
}

/// Of two analysts who saw the same version one is told to look again; each save is told once, as the whole alert.
pub async fn a_case_is_saved_at_its_version_alone(store: Arc<dyn Store>, prefix: &str) {
    open(&*store, prefix, [alert("ALT-1")]).await;
    let before = store.head().await.unwrap();
    let mut case = AlertCase::default();
    case.apply(&AlertAction::Acknowledge, "ana", Some("<script>"), noon())
        .unwrap();
    let saved = store
        .save_case("ALT-1", 0, case.clone(), noon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&saved.group, &saved.case), (&alert("ALT-1"), &case));
    let mut late = AlertCase::default();
    late.apply(&AlertAction::Assign("bo".to_owned()), "bo", None, noon())
        .unwrap();
    assert_eq!(store.save_case("ALT-1", 0, late.clone(), noon()).await.unwrap(), None);
    assert_eq!(store.save_case("ALT-2", 0, late, noon()).await.unwrap(), None);
    assert_eq!(store.alert("ALT-1").await.unwrap().as_ref(), Some(&saved));
    let told = told_after(&*store, &before).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].frames[0].kind, FrameKind::AlertUpdate);
    assert_eq!(
        serde_json::from_str::<Alert>(told[0].frames[0].data.get()).unwrap(),
        saved
    );
    let ids = ["ALT-1".to_owned()];
    assert_eq!(store.cases(&ids).await.unwrap()["ALT-1"], case);
}

/// More threats move an alert on, without a word of the analysts' being lost.
pub async fn the_analyzer_leaves_the_analysts_part_alone(store: Arc<dyn Store>, prefix: &str) {
    open(&*store, prefix, [alert("ALT-1")]).await;
    let worked = work(&*store, "ALT-1", &[AlertAction::Acknowledge, AlertAction::Note], 5).await;
    let mut grown = alert("ALT-1");
    grown.event_count = 99;
    let version = worked.case.version;
    let write = alert_write(grown.clone(), version);
    committed(&*store, prefix, "more", |commit| commit.alerts = vec![write]).await;
    let stored = store.alert("ALT-1").await.unwrap().unwrap();
    assert_eq!((stored.group, stored.case), (grown, worked.case));
    assert_eq!(store.totals(noon()).await.unwrap().alerts_generated, 1);
}

/// Each filter lets through what it names.
pub async fn every_filter_filters(store: Arc<dyn Store>, prefix: &str) {
    let mut urgent = alert("ALT-urgent");
    (urgent.priority, urgent.due_at) = (Priority::P1, noon().plus(Duration::from_secs(60)));
    let groups = ["fresh", "seen", "closed", "mine"].map(|id| alert(&format!("ALT-{id}")));
    open(&*store, prefix, groups.into_iter().chain([urgent])).await;
    work(&*store, "ALT-seen", &[AlertAction::Acknowledge], 10).await;
    work(
        &*store,
        "ALT-closed",
        &[AlertAction::Resolve(AlertStatus::FalsePositive)],
        20,
    )
    .await;
    work(&*store, "ALT-mine", &[AlertAction::Assign("ana".to_owned())], 30).await;
    let at = |seconds| Some(noon().plus(Duration::from_secs(seconds)));
    let cases: [(AlertQuery, &[&str]); 9] = [
        (all(), &["closed", "fresh", "mine", "seen", "urgent"]),
        (
            AlertQuery { active: true, ..all() },
            &["fresh", "mine", "seen", "urgent"],
        ),
        (
            AlertQuery {
                status: Some(AlertStatus::FalsePositive),
                ..all()
            },
            &["closed"],
        ),
        (
            AlertQuery {
                active: true,
                status: Some(AlertStatus::FalsePositive),
                ..all()
            },
            &[],
        ),
        (
            AlertQuery {
                priority: Some(Priority::P1),
                ..all()
            },
            &["urgent"],
        ),
        (
            AlertQuery {
                assignee: Some("ana".to_owned()),
                ..all()
            },
            &["mine"],
        ),
        (
            AlertQuery {
                overdue_at: at(61),
                ..all()
            },
            &["urgent"],
        ),
        (
            AlertQuery {
                overdue_at: at(3601),
                ..all()
            },
            &["fresh", "mine", "urgent"],
        ),
        (
            AlertQuery {
                updated_since: at(20),
                ..all()
            },
            &["closed", "mine"],
        ),
    ];
    for (query, expected) in cases {
        let page = store.alerts(&query).await.unwrap();
        let mut found: Vec<String> = page.items.into_iter().map(|alert| alert.group.id).collect();
        found.sort();
        let expected: Vec<String> = expected.iter().map(|id| format!("ALT-{id}")).collect();
        assert_eq!(found, expected, "{query:?}");
    }
}

/// Pages hold each alert once, newest first.
pub async fn pages_follow_one_another(store: Arc<dyn Store>, prefix: &str) {
    let groups = (0..11u64).map(|at| {
        let mut group = alert(&format!("ALT-{at}"));
        group.created_at = noon().plus(Duration::from_secs(at / 4));
        group
    });
    open(&*store, prefix, groups).await;
    let mut query = AlertQuery { limit: 3, ..all() };
    let mut seen = Vec::new();
    for _ in 0..4 {
        let page = store.alerts(&query).await.unwrap();
        seen.extend(
            page.items
                .into_iter()
                .map(|alert| (alert.group.created_at, alert.group.id)),
        );
        query.cursor = page.next_cursor;
    }
    assert_eq!((seen.len(), query.cursor), (11, None));
    assert!(seen.is_sorted_by(|(a, _), (b, _)| a >= b), "{seen:?}");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 11);
    let refused = store
        .alerts(&AlertQuery {
            cursor: Some("x".to_owned()),
            ..all()
        })
        .await;
    assert!(matches!(refused, Err(BackendError::Rejected { .. })), "{refused:?}");
}

/// Cases are asked for by id; who is not there is not in the answer.
pub async fn cases_of_unknown_alerts_are_absent(store: Arc<dyn Store>, prefix: &str) {
    open(&*store, prefix, [alert("ALT-1"), alert("ALT-2")]).await;
    let ids = ["ALT-1", "ALT-2", "ALT-3"].map(str::to_owned);
    let cases = store.cases(&ids).await.unwrap();
    assert_eq!((cases.len(), cases.contains_key("ALT-3")), (2, false));
    assert_eq!(cases["ALT-2"], AlertCase::default());
    assert!(store.cases(&[]).await.unwrap().is_empty());
}

/// An alert that nobody has acknowledged when it is due is told of, and not again; the analysts' version stays, and so can they work on.
pub async fn an_overdue_alert_is_told_once(store: Arc<dyn Store>, prefix: &str) {
    let due = |id: &str, seconds| {
        let mut group = alert(id);
        group.due_at = noon().plus(Duration::from_secs(seconds));
        group
    };
    let groups = [
        due("ALT-late", 200),
        due("ALT-first", 100),
        due("ALT-seen", 100),
        due("ALT-later", 900),
    ];
    open(&*store, prefix, groups).await;
    work(&*store, "ALT-seen", &[AlertAction::Acknowledge], 10).await;
    let before = store.head().await.unwrap();
    let at = |seconds| noon().plus(Duration::from_secs(seconds));
    assert_eq!(
        store.tell_overdue(10, at(100)).await.unwrap(),
        [],
        "due, and not over it"
    );
    assert_eq!(store.head().await.unwrap(), before, "nothing is told of nothing");
    let told = |alerts: Vec<Alert>| alerts.into_iter().map(|alert| alert.group.id).collect::<Vec<_>>();
    assert_eq!(told(store.tell_overdue(1, at(300)).await.unwrap()), ["ALT-first"]);
    assert_eq!(told(store.tell_overdue(10, at(300)).await.unwrap()), ["ALT-late"]);
    assert_eq!(told(store.tell_overdue(10, at(301)).await.unwrap()), [""; 0]);

    let records = told_after(&*store, &before).await;
    let frames: Vec<_> = records.iter().flat_map(|record| &record.frames).collect();
    let of = |data: &str| serde_json::from_str::<Alert>(data).unwrap();
    let ids: Vec<_> = frames.iter().map(|frame| of(frame.data.get()).group.id).collect();
    assert_eq!(ids, ["ALT-first", "ALT-late"]);
    assert!(frames.iter().all(|frame| frame.kind == FrameKind::AlertUpdate));

    // Both sides go on as before: the analyst on the version that was looked at, the analyzer on the one it judged.
    let worked = work(&*store, "ALT-late", &[AlertAction::Acknowledge], 400).await;
    assert_eq!(worked.case.version, 1);
    let mut grown = due("ALT-first", 50);
    grown.event_count += 1;
    let write = alert_write(grown.clone(), 0);
    committed(&*store, prefix, "more", |commit| commit.alerts = vec![write]).await;
    assert_eq!(store.alert("ALT-first").await.unwrap().unwrap().group, grown);
    assert_eq!(store.tell_overdue(10, at(500)).await.unwrap(), []);
}
