use threatstream_domain::{ExecutionStatus, StepStatus, Timestamp};

use super::*;
use crate::testing::{Answer, DEADLINE, Receiver, World, execution_id};

const PLAYBOOK: &str = "pb-brute-001";

/// Runs the worker while `work` does, and stops it in order.
async fn beside<T>(engine: Arc<Engine>, work: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let worker = tokio::spawn(respond(engine, stop.clone()));
    let done = work.await;
    stop.cancel();
    tokio::time::timeout(DEADLINE, worker)
        .await
        .expect("the worker did not stop")
        .unwrap()
        .unwrap();
    done
}

#[tokio::test]
async fn a_task_becomes_a_completed_execution() {
    let world = World::new();
    let receiver = Receiver::new(&[Answer::Status(200)]).await;
    let threats = [world.threat("one", |_| {}).await, world.threat("two", |_| {}).await];
    // One is there before the worker, one comes while it waits.
    world.enqueue(&threats[0]).await;
    beside(world.engine(Some(receiver.config())), async {
        let completed = |execution: &threatstream_domain::Execution| execution.status == ExecutionStatus::Completed;
        world.wait_for(&execution_id(PLAYBOOK, &threats[0]), completed).await;
        world.enqueue(&threats[1]).await;
        world.wait_for(&execution_id(PLAYBOOK, &threats[1]), completed).await;
    })
    .await;
    let depth = world.backends.tasks.depth(RESPOND_QUEUE).await.unwrap();
    assert_eq!((depth.waiting, depth.dead), (Some(0), Some(0)));
    assert_eq!(receiver.calls().len(), 2);
}

#[tokio::test]
async fn a_bad_task_is_retried_and_given_up() {
    let world = World::new();
    let engine = world.engine(None);
    let now = world.clock.now();
    let task = threatstream_backend::Task {
        queue: RESPOND_QUEUE.to_owned(),
        id: "respond-bad".to_owned(),
        payload: serde_json::json!({"threat": 1}),
    };
    world.backends.tasks.enqueue(vec![task], now).await.unwrap();
    for _ in 0..100 {
        let deliveries = take(&world, world.clock.now()).await;
        for delivery in &deliveries {
            handle(&engine, delivery, &CancellationToken::new()).await;
        }
        world.clock.advance(Duration::from_secs(600));
    }
    let dead = world.backends.tasks.dead_letters(RESPOND_QUEUE, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].error.contains("threat_id or execution_id"), "{:?}", dead[0]);
}

#[tokio::test]
async fn a_task_whose_worker_crashed_ends_after_its_lease() {
    let world = World::new();
    let receiver = Receiver::new(&[Answer::Silence]).await;
    let threat = world.threat("one", |_| {}).await;
    world.enqueue(&threat).await;
    let engine = world.engine(Some(receiver.config()));
    let worker = tokio::spawn(respond(engine, CancellationToken::new()));
    receiver.arrived(1).await;
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());

    let world = world.restarted().await;
    let engine = world.engine(Some(receiver.config()));
    for _ in 0..20 {
        for delivery in take(&world, world.clock.now()).await {
            handle(&engine, &delivery, &CancellationToken::new()).await;
        }
        world.clock.advance(Duration::from_secs(30));
    }
    let execution = world.execution(&execution_id(PLAYBOOK, &threat)).await;
    assert_eq!(execution.status, ExecutionStatus::Failed);
    assert_eq!(execution.steps[0].status, StepStatus::Completed);
    assert_eq!(receiver.calls().len(), 1);
    let depth = world.backends.tasks.depth(RESPOND_QUEUE).await.unwrap();
    assert_eq!(
        (depth.waiting, depth.in_flight, depth.dead),
        (Some(0), Some(0), Some(0)),
        "the task is done"
    );
}

async fn take(world: &World, now: Timestamp) -> Vec<Delivery> {
    world
        .backends
        .tasks
        .take(RESPOND_QUEUE, 10, LEASE, now, Duration::ZERO)
        .await
        .unwrap()
}
