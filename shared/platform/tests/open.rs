//! Opening what an environment names, for real.

use std::collections::HashMap;

use threatstream_backend::{BackendError, Durability, Record, Task};
use threatstream_domain::{Clock, Timestamp};
use threatstream_platform::{Needs, OpenError, PlatformConfig, open};

fn environment(variables: &[(&str, &str)]) -> HashMap<String, String> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn record() -> Record {
    Record {
        key: "k".to_owned(),
        value: "v".into(),
        headers: Vec::new(),
    }
}

#[tokio::test]
async fn one_machine_opens_once_and_keeps_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("THREATSTREAM_DATA", folder.path().to_str().unwrap()),
        ("LOG_PARTITIONS", "2"),
    ];
    let config = PlatformConfig::from_env(&environment(&variables)).unwrap();
    let clock = Clock::system();
    let first = open(&config, &clock).unwrap();
    let backends = first.backends();
    let append = backends
        .log
        .append(&backends.topics.raw, vec![record()], Durability::Promised);
    let position = append.await.unwrap()[0];
    assert!(
        matches!(open(&config, &clock), Err(OpenError::Embedded(_))),
        "the folder is held"
    );
    // Nothing is far away: there is nothing to warm.
    first.warm().await;
    drop(backends);
    first.close().await;

    let second = open(&config, &clock).unwrap();
    let marks = second.backends().log.watermarks("security.raw.logs").await.unwrap();
    assert_eq!(marks.len(), 2);
    assert_eq!(
        marks[usize::try_from(position.partition).unwrap()].high,
        position.offset + 1
    );
    second.close().await;
}

#[tokio::test]
async fn what_a_function_does_not_need_refuses_everything() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("THREATSTREAM_DATA", folder.path().to_str().unwrap()),
        ("STORE", "embedded"),
    ];
    let config = PlatformConfig::of_function(&environment(&variables), Needs::STORE).unwrap();
    let platform = open(&config, &Clock::system()).unwrap();
    let backends = platform.backends();
    backends.store.check().await.unwrap();
    let refused = |error: BackendError| assert!(!error.is_retryable(), "{error}");
    refused(backends.log.check().await.unwrap_err());
    refused(
        backends
            .log
            .append("t", vec![record()], Durability::Promised)
            .await
            .unwrap_err(),
    );
    refused(backends.log.watermarks("t").await.unwrap_err());
    refused(backends.tasks.check().await.unwrap_err());
    let task = Task {
        queue: "q".to_owned(),
        id: "1".to_owned(),
        payload: serde_json::Value::Null,
    };
    refused(backends.tasks.enqueue(vec![task], Timestamp::EPOCH).await.unwrap_err());
    drop(backends);
    platform.close().await;
}

/// Nothing listens there: opening does not care, and warming up comes to its end.
#[cfg(feature = "cloud")]
#[tokio::test(flavor = "multi_thread")]
async fn opening_reaches_nothing() {
    let nobody = "127.0.0.1:1";
    let config = PlatformConfig::from_env(&environment(&[
        ("CONFLUENT_BOOTSTRAP_SERVERS", nobody),
        ("GOOGLE_CLOUD_PROJECT", "test"),
        ("FIRESTORE_EMULATOR_HOST", nobody),
        ("PUBSUB_EMULATOR_HOST", nobody),
    ]))
    .unwrap();
    assert!(!config.has_embedded());
    let started = std::time::Instant::now();
    let platform = open(&config, &Clock::system()).unwrap();
    let took = started.elapsed();
    eprintln!("opened in {took:?}");
    // A TLS client alone would take longer on a busy machine.
    assert!(took < std::time::Duration::from_millis(200), "{took:?}");
    let backends = platform.backends();
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, platform.warm()).await.expect("it ends");
    assert!(backends.log.check().await.unwrap_err().is_retryable());
    assert!(backends.store.check().await.unwrap_err().is_retryable());
    assert!(backends.tasks.check().await.unwrap_err().is_retryable());
}
