//! Who waits for something to come is told when nothing will: long before the wait is over.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tempfile::TempDir;
use threatstream_backend::{BackendError, EventLog, Feed, FeedStart, TaskQueue};
use threatstream_domain::Timestamp;
use threatstream_embedded::{Embedded, Options, open};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for a wait to have begun.
const A_MOMENT: Duration = Duration::from_millis(100);

fn opened() -> (Embedded, TempDir) {
    let folder = TempDir::new().unwrap();
    (open(Options::new(folder.path())).unwrap(), folder)
}

/// Closes in the middle of the wait.
async fn told<T: std::fmt::Debug>(
    waiting: impl Future<Output = Result<T, BackendError>>,
    close: impl Future<Output = ()>,
) {
    let mut waiting = pin!(waiting);
    let early = timeout(A_MOMENT, &mut waiting).await;
    assert!(early.is_err(), "it did not wait: {early:?}");
    close.await;
    let woken = timeout(PATIENCE, waiting).await.expect("it waits on");
    assert!(matches!(woken, Err(BackendError::Unavailable { .. })), "{woken:?}");
}

async fn follow(embedded: &Embedded) -> Box<dyn threatstream_backend::FeedReader> {
    match embedded.follow(&embedded.head().await.unwrap()).await.unwrap() {
        FeedStart::Reader(reader) => reader,
        FeedStart::Gone => panic!("the feed has forgotten its head"),
    }
}

#[tokio::test]
async fn a_reader_of_the_log_is_told() {
    let (embedded, _folder) = opened();
    let mut reader = EventLog::open(&embedded, "topic", &[(0, 0)]).await.unwrap();
    let kept = embedded.clone();
    told(reader.next(1, 10 * PATIENCE), embedded.close()).await;
    // Who comes later is told, too.
    let mut late = EventLog::open(&kept, "topic", &[(0, 0)]).await.unwrap();
    let error = timeout(PATIENCE, late.next(1, 10 * PATIENCE)).await.expect("it waits");
    assert!(error.is_err_and(|error| error.is_retryable()));
}

#[tokio::test]
async fn a_reader_of_the_log_is_told_when_the_last_one_is_dropped() {
    let (embedded, _folder) = opened();
    let mut reader = EventLog::open(&embedded, "topic", &[(0, 0)]).await.unwrap();
    told(reader.next(1, 10 * PATIENCE), async { drop(embedded) }).await;
}

#[tokio::test]
async fn a_reader_of_the_feed_is_told() {
    let (embedded, _folder) = opened();
    let mut reader = follow(&embedded).await;
    let _kept = embedded.clone();
    told(reader.next(1, 10 * PATIENCE), embedded.close()).await;
}

#[tokio::test]
async fn who_waits_for_a_task_is_told() {
    let (embedded, _folder) = opened();
    let kept = embedded.clone();
    let taking = kept.take("queue", 1, PATIENCE, Timestamp::EPOCH, 10 * PATIENCE);
    told(taking, embedded.close()).await;
}
