//! What goes wrong around a queue: its takers die, the way to it is cut, it is not set up.

use std::collections::HashSet;
use std::time::Duration;

use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::client::{SubscriptionAdmin, TopicAdmin};
use threatstream_backend::{BackendError, Task, TaskQueue};
use threatstream_domain::Clock;
use threatstream_pubsub::PubSubQueue;
use tokio::time::Instant;

use crate::proxy::{Proxy, Way};
use crate::{LEASE, PROJECT, emulator, options, unique};

/// Longer than a call's own patience, so that a call that outlives it is seen.
const BOUND: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(30);

fn task(queue: &str, id: &str) -> Task {
    Task {
        queue: queue.to_owned(),
        id: id.to_owned(),
        payload: serde_json::json!({"threat_id": id}),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pulled_task_survives_the_death_of_its_puller() {
    let Some(emulator) = emulator() else { return };
    let (queue, now) = (unique(), Clock::system().now());
    let survivor = PubSubQueue::open(options(&emulator));
    survivor.enqueue(vec![task(&queue, "1")], now).await.unwrap();
    let (victims, name) = (options(&emulator), queue.clone());
    // A runtime of its own, so that nothing of it lives on, no connection and no background task.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let victim = PubSubQueue::open(victims);
        let taken = runtime.block_on(victim.take(&name, 1, LEASE, now, PATIENCE)).unwrap();
        assert_eq!((taken.len(), taken[0].attempt), (1, 1));
        runtime.shutdown_background();
    })
    .join()
    .unwrap();
    let again = survivor.take(&queue, 1, LEASE, now, PATIENCE).await.unwrap();
    assert_eq!((&again[0].task, again[0].attempt), (&task(&queue, "1"), 2));
    survivor.complete(&again[0], now).await.unwrap();
}

/// The error is one to try again, and comes before anybody loses patience.
async fn fails_in_time<T: std::fmt::Debug>(call: impl Future<Output = Result<T, BackendError>>) {
    let began = Instant::now();
    let error = call.await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(began.elapsed() < BOUND, "{error} after {:?}", began.elapsed());
}

async fn through_an_outage(way: Way) {
    let Some(emulator) = emulator() else { return };
    let (queue, now) = (unique(), Clock::system().now());
    let proxy = Proxy::before(&emulator).await;
    let tasks = PubSubQueue::open(options(&proxy.address.to_string()));
    tasks.enqueue(vec![task(&queue, "before")], now).await.unwrap();
    let taken = tasks
        .take(&queue, 1, Duration::from_secs(60), now, PATIENCE)
        .await
        .unwrap();

    proxy.set(way);
    tokio::join!(
        fails_in_time(tasks.enqueue(vec![task(&queue, "during")], now)),
        fails_in_time(tasks.complete(&taken[0], now)),
        fails_in_time(tasks.fail(&taken[0], "no answer", now)),
        fails_in_time(tasks.check()),
        fails_in_time(tasks.take(&queue, 1, LEASE, now, Duration::ZERO)),
    );

    proxy.set(Way::Open);
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = tasks.enqueue(vec![task(&queue, "after")], now).await {
        assert!(error.is_retryable() && Instant::now() < deadline, "{error}");
    }
    tasks.complete(&taken[0], now).await.unwrap();
    tasks.check().await.unwrap();
    // What was said to have failed may have been done; what was said to be done has been.
    let mut came = HashSet::new();
    while !came.contains("after") {
        assert!(Instant::now() < deadline, "{came:?}");
        for delivery in tasks
            .take(&queue, 10, LEASE, now, Duration::from_secs(5))
            .await
            .unwrap()
        {
            tasks.complete(&delivery, now).await.unwrap();
            came.insert(delivery.task.id);
        }
    }
    assert!(!came.contains("before"), "{came:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_an_error_to_try_again_and_heals() {
    through_an_outage(Way::Cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_connection_is_an_error_to_try_again_and_heals() {
    through_an_outage(Way::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_an_error_to_try_again() {
    // Nothing listens on a port that was just given back.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let tasks = PubSubQueue::open(options(&free.to_string()));
    let now = Clock::system().now();
    fails_in_time(tasks.enqueue(vec![task("respond", "1")], now)).await;
    fails_in_time(tasks.check()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_counts_no_attempts_is_refused() {
    let Some(emulator) = emulator() else { return };
    let (queue, now) = (unique(), Clock::system().now());
    let (topic, subscription) = (
        format!("projects/{PROJECT}/topics/threatstream-{queue}"),
        format!("projects/{PROJECT}/subscriptions/threatstream-{queue}"),
    );
    let endpoint = format!("http://{emulator}");
    let topics = TopicAdmin::builder()
        .with_endpoint(&endpoint)
        .with_credentials(anonymous::Builder::new().build())
        .build()
        .await
        .unwrap();
    topics.create_topic().set_name(&topic).send().await.unwrap();
    let subscriptions = SubscriptionAdmin::builder()
        .with_endpoint(&endpoint)
        .with_credentials(anonymous::Builder::new().build())
        .build()
        .await
        .unwrap();
    subscriptions
        .create_subscription()
        .set_name(&subscription)
        .set_topic(&topic)
        .send()
        .await
        .unwrap();
    let tasks = PubSubQueue::open(options(&emulator));
    tasks.enqueue(vec![task(&queue, "1")], now).await.unwrap();
    let error = tasks.take(&queue, 1, LEASE, now, PATIENCE).await.unwrap_err();
    assert!(
        error.to_string().contains("dead-letter policy") && !error.is_retryable(),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_all_come() {
    let Some(emulator) = emulator() else { return };
    let (queue, now) = (unique(), Clock::system().now());
    let tasks = PubSubQueue::open(options(&emulator));
    let given: HashSet<String> = (0..1500).map(|number| format!("respond-{number}")).collect();
    let began = Instant::now();
    tasks
        .enqueue(given.iter().map(|id| task(&queue, id)).collect(), now)
        .await
        .unwrap();
    let enqueued = began.elapsed();
    let mut came = HashSet::new();
    while came.len() < given.len() {
        assert!(began.elapsed() < 2 * PATIENCE, "{} came", came.len());
        let taken = tasks.take(&queue, 500, PATIENCE, now, PATIENCE).await.unwrap();
        assert!(taken.len() <= 500);
        came.extend(taken.into_iter().map(|delivery| delivery.task.id));
    }
    assert_eq!(came, given);
    eprintln!(
        "1500 tasks enqueued in {enqueued:?}, taken in {:?}",
        began.elapsed() - enqueued
    );
}
