//! What a task queue must do: here what every one does, in [`exact`] what one does that remembers what it has seen.

pub mod exact;
mod timed;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::PATIENCE;
use crate::{Delivery, Failed, QueueDepth, Task};

pub use timed::{Time, Timed};

fn task(queue: &str, id: &str) -> Task {
    Task {
        queue: queue.to_owned(),
        id: id.to_owned(),
        payload: serde_json::json!({"threat_id": id, "text": "<b>\u{1b}"}),
    }
}

/// What the queue knows of its depth is so; what it cannot know, it does not claim.
async fn assert_depth(queue: &Timed, name: &str, expected: [u64; 3]) {
    let QueueDepth {
        waiting,
        in_flight,
        dead,
    } = queue.tasks.depth(name).await.unwrap();
    for (known, expected) in [waiting, in_flight, dead].into_iter().zip(expected) {
        assert_eq!(
            known.unwrap_or(expected),
            expected,
            "{waiting:?} {in_flight:?} {dead:?}"
        );
    }
}

/// A task comes as it was given, and is gone when it is done.
pub async fn a_task_is_handed_out_and_done(queue: Arc<Timed>, prefix: &str) {
    let given = task(prefix, "1");
    queue.enqueue(vec![given.clone()]).await;
    assert_depth(&queue, prefix, [1, 0, 0]).await;
    let delivery = queue.take_one(prefix).await;
    assert_eq!((&delivery.task, delivery.attempt), (&given, 1));
    assert_depth(&queue, prefix, [0, 1, 0]).await;
    queue.assert_nothing(prefix).await;
    queue.complete(&delivery).await;
    queue.assert_nothing_within(prefix, queue.lease * 2).await;
    assert_depth(&queue, prefix, [0, 0, 0]).await;
    queue.tasks.enqueue(Vec::new(), queue.now()).await.unwrap();
}

/// A task whose handler vanished comes again when its time is up and not before, as the next attempt.
pub async fn a_lease_that_runs_out_brings_the_task_again(queue: Arc<Timed>, prefix: &str) {
    queue.enqueue(vec![task(prefix, "1")]).await;
    let since = queue.now();
    let first = queue.take_one(prefix).await;
    let second = queue.take_one_after(prefix, since, queue.lease).await;
    assert_eq!((second.attempt, second.task), (2, first.task));
}

/// A task that failed comes again, not before its time.
pub async fn a_failed_task_comes_again_later(queue: Arc<Timed>, prefix: &str) {
    queue.enqueue(vec![task(prefix, "1")]).await;
    let first = queue.take_one(prefix).await;
    let since = queue.now();
    let Failed::Retry(again) = queue.tasks.fail(&first, "no answer", since).await.unwrap() else {
        panic!("it died at the first attempt");
    };
    assert_eq!(again.since(since), queue.policy.min_backoff);
    assert_depth(&queue, prefix, [1, 0, 0]).await;
    let second = queue.take_one_after(prefix, since, queue.policy.min_backoff).await;
    assert_eq!((second.attempt, &second.task), (2, &first.task));
}

/// A task that failed as often as allowed is a dead letter with its last error, and comes no more.
pub async fn a_task_that_keeps_failing_dies(queue: Arc<Timed>, prefix: &str) {
    let policy = queue.policy;
    queue.enqueue(vec![task(prefix, "1")]).await;
    let mut delivery = queue.take_one(prefix).await;
    let mut died_at = queue.now();
    for attempt in 1..=policy.max_attempts {
        assert_eq!(delivery.attempt, attempt);
        let now = queue.now();
        match queue
            .tasks
            .fail(&delivery, &format!("error {attempt}"), now)
            .await
            .unwrap()
        {
            Failed::Retry(again) => {
                let backoff = again.since(now);
                assert_eq!(Some(backoff), policy.backoff(attempt));
                delivery = queue.take_one_after(prefix, now, backoff).await;
            }
            Failed::Dead => {
                assert_eq!(attempt, policy.max_attempts);
                died_at = now;
            }
        }
    }
    queue.assert_nothing_within(prefix, queue.lease * 2).await;
    let dead = queue.dead_letters(prefix, 1).await;
    assert_eq!(
        (&dead[0].task, dead[0].attempts),
        (&task(prefix, "1"), policy.max_attempts)
    );
    let last = format!("error {}", policy.max_attempts);
    assert_eq!(
        (&dead[0].error, dead[0].died_at.as_millis()),
        (&last, died_at.as_millis())
    );
    // Reading them takes nothing away.
    assert_eq!(queue.dead_letters(prefix, 1).await, dead);
    assert_depth(&queue, prefix, [0, 0, 1]).await;
}

/// A task that takes down whoever tries it does not come for ever.
pub async fn a_task_that_never_ends_dies(queue: Arc<Timed>, prefix: &str) {
    queue.enqueue(vec![task(prefix, "1")]).await;
    let mut since = queue.now();
    queue.take_one(prefix).await;
    for attempt in 2..=queue.policy.max_attempts {
        let again = queue.take_one_after(prefix, since, queue.lease).await;
        assert_eq!(again.attempt, attempt);
        since = queue.now();
    }
    queue.assert_nothing_within(prefix, queue.lease * 2).await;
    let dead = queue.dead_letters(prefix, 1).await;
    assert_eq!(
        (&dead[0].task, dead[0].attempts),
        (&task(prefix, "1"), queue.policy.max_attempts)
    );
}

/// Completing again, or too late, changes nothing.
pub async fn completing_twice_does_no_harm(queue: Arc<Timed>, prefix: &str) {
    queue.enqueue(vec![task(prefix, "1")]).await;
    let since = queue.now();
    let first = queue.take_one(prefix).await;
    let second = queue.take_one_after(prefix, since, queue.lease).await;
    queue.complete(&second).await;
    queue.complete(&second).await;
    queue.complete(&first).await;
    queue.assert_nothing_within(prefix, queue.lease * 2).await;
    assert_depth(&queue, prefix, [0, 0, 0]).await;
}

/// A task that was pushed and failed for good is buried: a dead letter like any other, once, and its queue is as it was.
pub async fn a_buried_task_is_a_dead_letter(queue: Arc<Timed>, prefix: &str) {
    queue.enqueue(vec![task(prefix, "waits")]).await;
    let (buried, now) = (task(prefix, "pushed"), queue.now());
    for _ in 0..2 {
        queue
            .tasks
            .bury(buried.clone(), 3, "it makes no sense", now)
            .await
            .unwrap();
    }
    let dead = queue.dead_letters(prefix, 1).await;
    assert_eq!((&dead[0].task, dead[0].attempts), (&buried, 3));
    assert_eq!(
        (dead[0].error.as_str(), dead[0].died_at.as_millis()),
        ("it makes no sense", now.as_millis())
    );
    assert_eq!(queue.take_one(prefix).await.task.id, "waits");
}

/// Dead letters come newest first, and no more of them than asked for.
pub async fn the_newest_dead_letters_come_first(queue: Arc<Timed>, prefix: &str) {
    let now = queue.now();
    for age in [1, 3, 0, 2] {
        let at = now.minus(Duration::from_secs(age));
        let buried = task(prefix, &age.to_string());
        queue.tasks.bury(buried, 1, "over", at).await.unwrap();
    }
    let ids = |dead: Vec<crate::DeadTask>| dead.into_iter().map(|dead| dead.task.id).collect::<Vec<_>>();
    assert_eq!(ids(queue.dead_letters(prefix, 4).await), ["0", "1", "2", "3"]);
    assert_eq!(ids(queue.tasks.dead_letters(prefix, 2).await.unwrap()), ["0", "1"]);
    assert!(
        queue
            .tasks
            .dead_letters(&format!("{prefix}-other"), 2)
            .await
            .unwrap()
            .is_empty()
    );
}

/// What waits in one queue is not seen in another, even under the same id.
pub async fn queues_are_apart(queue: Arc<Timed>, prefix: &str) {
    let (one, other) = (format!("{prefix}-one"), format!("{prefix}-other"));
    queue.enqueue(vec![task(&one, "1"), task(&other, "1")]).await;
    let delivery = queue.take_one(&one).await;
    queue.complete(&delivery).await;
    queue.assert_nothing(&one).await;
    assert_eq!(queue.take_one(&other).await.task.queue, other);
}

/// Who waits for a task gets it when it is queued, long before the wait is over.
pub async fn an_enqueue_wakes_a_taker(queue: Arc<Timed>, prefix: &str) {
    let (taker, name) = (Arc::clone(&queue), prefix.to_owned());
    let waiting = tokio::spawn(async move { taker.take(&name, 1, 10 * PATIENCE).await });
    tokio::task::yield_now().await;
    queue.enqueue(vec![task(prefix, "1")]).await;
    let taken = timeout(PATIENCE, waiting).await.expect("the taker slept on").unwrap();
    assert_eq!(taken.len(), 1);
}

/// Who waits gets a task that failed when its time has come.
pub async fn a_retry_wakes_a_taker_when_it_is_due(queue: Arc<Timed>, prefix: &str) {
    queue.enqueue(vec![task(prefix, "1")]).await;
    let first = queue.take_one(prefix).await;
    queue.tasks.fail(&first, "no answer", queue.now()).await.unwrap();
    let taken = timeout(PATIENCE, queue.take(prefix, 1, 10 * PATIENCE)).await;
    assert_eq!(taken.expect("the taker slept on")[0].attempt, 2);
}

/// Several takers at once share what there is: each task goes to one, and nobody is given more than asked for.
pub async fn takers_at_once_get_different_tasks(queue: Arc<Timed>, prefix: &str) {
    const TASKS: usize = 60;
    queue
        .enqueue((0..TASKS).map(|at| task(prefix, &at.to_string())).collect())
        .await;
    let mut takers = JoinSet::new();
    for _ in 0..6 {
        let (queue, name) = (Arc::clone(&queue), prefix.to_owned());
        takers.spawn(async move {
            let mut ids = Vec::new();
            loop {
                let taken = queue.take(&name, 3, queue.grace()).await;
                if taken.is_empty() {
                    return ids;
                }
                assert!(taken.len() <= 3);
                for delivery in taken {
                    queue.complete(&delivery).await;
                    ids.push(delivery.task.id);
                }
            }
        });
    }
    let ids = takers.join_all().await.concat();
    assert_eq!((ids.len(), ids.iter().collect::<HashSet<_>>().len()), (TASKS, TASKS));
}

/// The check succeeds on what works.
pub async fn it_is_reachable(queue: Arc<Timed>, _prefix: &str) {
    queue.tasks.check().await.unwrap();
}
