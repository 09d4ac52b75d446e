//! What a queue does that remembers the ids it has seen for a day, and counts what it holds. Its time is told.

use std::sync::Arc;
use std::time::Duration;

use super::{Time, Timed, task};
use crate::QueueDepth;

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

fn pass(queue: &Timed, span: Duration) {
    let Time::Told(clock) = &queue.time else {
        panic!("nobody waits for a day to pass");
    };
    clock.advance(span);
}

/// An id that is queued, or in flight, is not queued again.
pub async fn a_task_is_taken_once(queue: Arc<Timed>, prefix: &str) {
    let given = || vec![task(prefix, "1"), task(prefix, "1")];
    queue.enqueue(given()).await;
    queue.enqueue(given()).await;
    queue.take_one(prefix).await;
    queue.enqueue(given()).await;
    queue.assert_nothing(prefix).await;
}

/// An id that is done is not done again within a day.
pub async fn a_finished_task_is_remembered_for_a_day(queue: Arc<Timed>, prefix: &str) {
    queue.enqueue(vec![task(prefix, "1")]).await;
    let delivery = queue.take_one(prefix).await;
    queue.complete(&delivery).await;
    pass(&queue, DAY - MINUTE);
    queue.enqueue(vec![task(prefix, "1")]).await;
    queue.assert_nothing(prefix).await;
}

/// An id that was done more than a day ago is new: it is handed out, as a first attempt.
pub async fn an_id_is_new_after_a_day(queue: Arc<Timed>, prefix: &str) {
    queue.enqueue(vec![task(prefix, "1")]).await;
    let delivery = queue.take_one(prefix).await;
    queue.complete(&delivery).await;
    pass(&queue, DAY + MINUTE);
    queue.enqueue(vec![task(prefix, "1")]).await;
    let again = queue.take_one(prefix).await;
    assert_eq!((again.attempt, &again.task), (1, &delivery.task));
    // A late word about the first one does not touch the attempts of the second.
    queue.tasks.fail(&delivery, "late", queue.now()).await.ok();
    assert_eq!(queue.tasks.depth(prefix).await.unwrap().in_flight, Some(1));
}

/// Burying what is done leaves it done.
pub async fn what_is_done_is_not_buried(queue: Arc<Timed>, prefix: &str) {
    queue.enqueue(vec![task(prefix, "1")]).await;
    let delivery = queue.take_one(prefix).await;
    queue.complete(&delivery).await;
    queue.tasks.bury(delivery.task, 1, "late", queue.now()).await.unwrap();
    assert!(queue.dead_letters(prefix, 0).await.is_empty());
}

/// How full the queue is, it knows to the task.
pub async fn the_depth_is_known(queue: Arc<Timed>, prefix: &str) {
    let depth = async || {
        let QueueDepth {
            waiting,
            in_flight,
            dead,
        } = queue.tasks.depth(prefix).await.unwrap();
        [waiting, in_flight, dead].map(|count| count.expect("a count"))
    };
    assert_eq!(depth().await, [0, 0, 0]);
    queue
        .enqueue((0..5).map(|at| task(prefix, &at.to_string())).collect())
        .await;
    assert_eq!(depth().await, [5, 0, 0]);
    let taken = queue.take(prefix, 3, Duration::ZERO).await;
    assert_eq!(depth().await, [2, 3, 0]);
    queue.complete(&taken[0]).await;
    queue.tasks.fail(&taken[1], "no answer", queue.now()).await.unwrap();
    assert_eq!(depth().await, [3, 1, 0]);
    queue
        .tasks
        .bury(task(prefix, "pushed"), 1, "over", queue.now())
        .await
        .unwrap();
    assert_eq!(depth().await, [3, 1, 1]);
}
