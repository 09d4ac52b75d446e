//! What is in a queue and is no task: somebody else published it, or an older version did.

use std::time::Duration;

use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::client::Publisher;
use google_cloud_pubsub::model::Message;
use threatstream_backend::{Task, TaskQueue};
use threatstream_domain::Clock;
use threatstream_pubsub::PubSubQueue;
use tokio::time::Instant;

use crate::{LEASE, PROJECT, emulator, options, unique};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_task_becomes_a_dead_letter_and_blocks_nothing() {
    let Some(emulator) = emulator() else { return };
    let (queue, now) = (unique(), Clock::system().now());
    let tasks = PubSubQueue::open(options(&emulator));
    let good = |id: &str| Task {
        queue: queue.clone(),
        id: id.to_owned(),
        payload: serde_json::json!({}),
    };
    tasks.enqueue(vec![good("first")], now).await.unwrap();
    let publisher = Publisher::builder(format!("projects/{PROJECT}/topics/threatstream-{queue}"))
        .with_endpoint(format!("http://{emulator}"))
        .with_credentials(anonymous::Builder::new().build())
        .build()
        .await
        .unwrap();
    let deep = "[".repeat(100_000);
    for (data, attributes) in [
        (
            &b"\xff\xfe\x00"[..],
            vec![("queue", queue.as_str()), ("task_id", "not-text")],
        ),
        (b"{\"open\":", vec![("queue", queue.as_str()), ("task_id", "not-json")]),
        (deep.as_bytes(), vec![("queue", queue.as_str()), ("task_id", "deep")]),
        (b"{}", vec![("queue", "other"), ("task_id", "not-here")]),
        (b"{}", vec![("task_id", "no-queue")]),
        (b"{}", vec![("queue", queue.as_str()), ("task_id", "")]),
        (b"", vec![("queue", queue.as_str()), ("task_id", "empty")]),
    ] {
        let message = Message::new().set_data(data.to_vec()).set_attributes(attributes);
        publisher.publish(message).await.unwrap();
    }
    tasks.enqueue(vec![good("last")], now).await.unwrap();

    let mut came = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    // One at a time: what is no task must not be what comes back.
    while came.len() < 2 {
        assert!(Instant::now() < deadline, "{came:?}");
        for delivery in tasks.take(&queue, 1, LEASE, now, LEASE).await.unwrap() {
            tasks.complete(&delivery, now).await.unwrap();
            came.push(delivery.task.id);
        }
    }
    came.sort();
    assert_eq!(came, ["first", "last"]);
    assert_eq!(tasks.take(&queue, 10, LEASE, now, 2 * LEASE).await.unwrap(), []);

    let mut dead = tasks.dead_letters(&queue, 100).await.unwrap();
    dead.sort_by(|a, b| a.task.id.cmp(&b.task.id));
    let told: Vec<_> = dead
        .iter()
        .map(|dead| (dead.task.id.as_str(), dead.error.as_str()))
        .collect();
    assert_eq!(told.len(), 7, "{told:?}");
    for (id, error) in [
        ("deep", "not a task: its data is not JSON"),
        ("empty", "not a task: its data is not JSON"),
        ("no-queue", "not a task: it has no attribute queue"),
        ("not-here", "not a task: it is for the queue 'other'"),
        ("not-json", "not a task: its data is not JSON"),
        ("not-text", "not a task: its data is not JSON"),
    ] {
        assert!(
            told.iter()
                .any(|(told_id, told)| *told_id == id && told.starts_with(error)),
            "{id} in {told:?}"
        );
    }
    assert!(
        told.iter()
            .any(|(id, error)| id.starts_with("message-") && error.contains("task_id"))
    );
    assert!(
        dead.iter()
            .all(|dead| dead.task.queue == queue && dead.died_at >= now.minus(Duration::from_secs(1)))
    );
    assert_eq!(dead[0].task.payload.as_str().unwrap().len(), 64 * 1024);
}
