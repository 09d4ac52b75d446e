//! What a task queue must do. Queues here have the default retry policy.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::PATIENCE;
use super::samples::noon;
use crate::{Delivery, Failed, QueueDepth, RetryPolicy, Task, TaskQueue};

const LEASE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(86_400);

fn task(queue: &str, id: &str) -> Task {
    Task {
        queue: queue.to_owned(),
        id: id.to_owned(),
        payload: serde_json::json!({"threat_id": id, "text": "<b>\u{1b}"}),
    }
}

async fn take(tasks: &dyn TaskQueue, queue: &str, after: Duration) -> Vec<Delivery> {
    tasks
        .take(queue, 10, LEASE, noon().plus(after), Duration::ZERO)
        .await
        .unwrap()
}

async fn take_one(tasks: &dyn TaskQueue, queue: &str, after: Duration) -> Delivery {
    let taken = take(tasks, queue, after).await;
    assert_eq!(taken.len(), 1, "{taken:?}");
    taken.into_iter().next().unwrap()
}

/// A task comes once, as it was given, and is gone when it is done.
pub async fn a_task_is_handed_out_and_done(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    let given = task(prefix, "1");
    tasks.enqueue(vec![given.clone()], noon()).await.unwrap();
    assert_eq!(tasks.depth(prefix).await.unwrap().waiting, 1);
    let delivery = take_one(&*tasks, prefix, Duration::ZERO).await;
    assert_eq!((&delivery.task, delivery.attempt), (&given, 1));
    assert_eq!(tasks.depth(prefix).await.unwrap().in_flight, 1);
    assert!(take(&*tasks, prefix, Duration::ZERO).await.is_empty());
    tasks.complete(&delivery, noon()).await.unwrap();
    assert!(take(&*tasks, prefix, LEASE * 2).await.is_empty());
    assert_eq!(tasks.depth(prefix).await.unwrap(), QueueDepth::default());
}

/// An id that is queued, or in flight, is not queued again.
pub async fn a_task_is_taken_once(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    let given = || vec![task(prefix, "1"), task(prefix, "1")];
    tasks.enqueue(given(), noon()).await.unwrap();
    tasks.enqueue(given(), noon()).await.unwrap();
    take_one(&*tasks, prefix, Duration::ZERO).await;
    tasks.enqueue(given(), noon()).await.unwrap();
    assert!(take(&*tasks, prefix, Duration::ZERO).await.is_empty());
    tasks.enqueue(Vec::new(), noon()).await.unwrap();
}

/// An id that is done is not done again within a day.
pub async fn a_finished_task_is_remembered_for_a_day(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    tasks.enqueue(vec![task(prefix, "1")], noon()).await.unwrap();
    let delivery = take_one(&*tasks, prefix, Duration::ZERO).await;
    tasks.complete(&delivery, noon()).await.unwrap();
    let nearly = DAY - Duration::from_secs(60);
    tasks
        .enqueue(vec![task(prefix, "1")], noon().plus(nearly))
        .await
        .unwrap();
    assert!(take(&*tasks, prefix, nearly).await.is_empty());
}

/// An id that was done more than a day ago is new: it is handed out, as a first attempt.
pub async fn an_id_is_new_after_a_day(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    tasks.enqueue(vec![task(prefix, "1")], noon()).await.unwrap();
    let delivery = take_one(&*tasks, prefix, Duration::ZERO).await;
    tasks.complete(&delivery, noon()).await.unwrap();
    let later = DAY + Duration::from_secs(60);
    tasks
        .enqueue(vec![task(prefix, "1")], noon().plus(later))
        .await
        .unwrap();
    let again = take_one(&*tasks, prefix, later).await;
    assert_eq!((again.attempt, &again.task), (1, &delivery.task));
    // A late word about the first one does not touch the attempts of the second.
    tasks.fail(&delivery, "late", noon().plus(later)).await.ok();
    assert_eq!(tasks.depth(prefix).await.unwrap().in_flight, 1);
}

/// A task whose handler vanished comes again, as the next attempt.
pub async fn a_lease_that_runs_out_brings_the_task_again(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    tasks.enqueue(vec![task(prefix, "1")], noon()).await.unwrap();
    take_one(&*tasks, prefix, Duration::ZERO).await;
    assert!(take(&*tasks, prefix, LEASE / 2).await.is_empty());
    assert_eq!(take_one(&*tasks, prefix, LEASE).await.attempt, 2);
}

/// A task that failed comes again, not before its time.
pub async fn a_failed_task_comes_again_later(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    tasks.enqueue(vec![task(prefix, "1")], noon()).await.unwrap();
    let first = take_one(&*tasks, prefix, Duration::ZERO).await;
    let Failed::Retry(again) = tasks.fail(&first, "no answer", noon()).await.unwrap() else {
        panic!("it died at the first attempt");
    };
    assert_eq!(again, noon().plus(RetryPolicy::default().min_backoff));
    assert!(take(&*tasks, prefix, Duration::ZERO).await.is_empty());
    assert_eq!(tasks.depth(prefix).await.unwrap().waiting, 1);
    let second = take_one(&*tasks, prefix, again.since(noon())).await;
    assert_eq!((second.attempt, &second.task), (2, &first.task));
}

/// A task that failed as often as allowed is a dead letter with its last error, and comes no more.
pub async fn a_task_that_keeps_failing_dies(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    let policy = RetryPolicy::default();
    tasks.enqueue(vec![task(prefix, "1")], noon()).await.unwrap();
    let mut now = noon();
    for attempt in 1..=policy.max_attempts {
        let delivery = take_one(&*tasks, prefix, now.since(noon())).await;
        assert_eq!(delivery.attempt, attempt);
        match tasks.fail(&delivery, &format!("error {attempt}"), now).await.unwrap() {
            Failed::Retry(again) => {
                assert_eq!(Some(again.since(now)), policy.backoff(attempt));
                now = again;
            }
            Failed::Dead => assert_eq!(attempt, policy.max_attempts),
        }
    }
    assert!(take(&*tasks, prefix, DAY / 2).await.is_empty());
    let dead = tasks.dead_letters(prefix, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (&dead[0].task, dead[0].attempts),
        (&task(prefix, "1"), policy.max_attempts)
    );
    assert_eq!((dead[0].error.as_str(), dead[0].died_at), ("error 10", now));
    assert_eq!(
        tasks.depth(prefix).await.unwrap(),
        QueueDepth {
            dead: 1,
            ..QueueDepth::default()
        }
    );
}

/// A task that takes down whoever tries it does not come for ever.
pub async fn a_task_that_never_ends_dies(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    tasks.enqueue(vec![task(prefix, "1")], noon()).await.unwrap();
    for attempt in 0..RetryPolicy::default().max_attempts {
        take_one(&*tasks, prefix, LEASE * attempt).await;
    }
    assert!(take(&*tasks, prefix, LEASE * 50).await.is_empty());
    assert_eq!(tasks.dead_letters(prefix, 10).await.unwrap().len(), 1);
}

/// Completing again, or too late, changes nothing.
pub async fn completing_twice_does_no_harm(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    tasks.enqueue(vec![task(prefix, "1")], noon()).await.unwrap();
    let first = take_one(&*tasks, prefix, Duration::ZERO).await;
    let second = take_one(&*tasks, prefix, LEASE).await;
    let late = noon().plus(LEASE);
    tasks.complete(&second, late).await.unwrap();
    tasks.complete(&second, late).await.unwrap();
    tasks.complete(&first, late).await.unwrap();
    assert!(take(&*tasks, prefix, LEASE * 3).await.is_empty());
    assert_eq!(tasks.depth(prefix).await.unwrap(), QueueDepth::default());
}

/// What waits in one queue is not seen in another, even under the same id.
pub async fn queues_are_apart(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    let (one, other) = (format!("{prefix}-one"), format!("{prefix}-other"));
    tasks
        .enqueue(vec![task(&one, "1"), task(&other, "1")], noon())
        .await
        .unwrap();
    let delivery = take_one(&*tasks, &one, Duration::ZERO).await;
    tasks.complete(&delivery, noon()).await.unwrap();
    assert_eq!(take_one(&*tasks, &other, Duration::ZERO).await.task.queue, other);
}

/// Who waits for a task gets it when it is queued, long before the wait is over.
pub async fn an_enqueue_wakes_a_taker(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    let (taker, queue) = (Arc::clone(&tasks), prefix.to_owned());
    let waiting = tokio::spawn(async move { taker.take(&queue, 1, LEASE, noon(), 10 * PATIENCE).await.unwrap() });
    tokio::task::yield_now().await;
    tasks.enqueue(vec![task(prefix, "1")], noon()).await.unwrap();
    let taken = timeout(PATIENCE, waiting).await.expect("the taker slept on").unwrap();
    assert_eq!(taken.len(), 1);
}

/// Who waits gets a task that failed when its time has come.
pub async fn a_retry_wakes_a_taker_when_it_is_due(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    tasks.enqueue(vec![task(prefix, "1")], noon()).await.unwrap();
    let first = take_one(&*tasks, prefix, Duration::ZERO).await;
    tasks.fail(&first, "no answer", noon()).await.unwrap();
    let taken = timeout(PATIENCE, tasks.take(prefix, 1, LEASE, noon(), 10 * PATIENCE)).await;
    assert_eq!(taken.expect("the taker slept on").unwrap()[0].attempt, 2);
}

/// Several takers at once share what there is: each task goes to one.
pub async fn takers_at_once_get_different_tasks(tasks: Arc<dyn TaskQueue>, prefix: &str) {
    tasks
        .enqueue((0..60).map(|at| task(prefix, &at.to_string())).collect(), noon())
        .await
        .unwrap();
    let mut takers = JoinSet::new();
    for _ in 0..6 {
        let (tasks, queue) = (Arc::clone(&tasks), prefix.to_owned());
        takers.spawn(async move {
            let mut ids = Vec::new();
            loop {
                let taken = tasks.take(&queue, 3, LEASE, noon(), Duration::ZERO).await.unwrap();
                if taken.is_empty() {
                    return ids;
                }
                assert!(taken.len() <= 3);
                ids.extend(taken.into_iter().map(|delivery| delivery.task.id));
            }
        });
    }
    let ids = takers.join_all().await.concat();
    assert_eq!((ids.len(), ids.iter().collect::<HashSet<_>>().len()), (60, 60));
}

/// The check succeeds on what works.
pub async fn it_is_reachable(tasks: Arc<dyn TaskQueue>, _prefix: &str) {
    tasks.check().await.unwrap();
}
