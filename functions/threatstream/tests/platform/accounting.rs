//! Every event is accounted for, at every moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::Value;

use super::harness::{PATIENCE, Platform, assert_balanced, client, get, post_lines, settled};
use super::traffic;

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_changes_nothing_but_ingested_and_duplicate() {
    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path(), &[]);
    let client = client();
    let lines = traffic::lines(1, 3000);

    post_lines(&client, &platform.base, &lines, Some("upload-1")).await;
    let once = settled(&client, &platform.base).await;
    post_lines(&client, &platform.base, &lines, Some("upload-1")).await;
    let twice = settled(&client, &platform.base).await;
    assert_balanced(&twice);
    assert_eq!(twice["match"]["ingested"], 6000);
    assert_eq!(twice["match"]["duplicate"], 3000);
    let without = |ledger: &Value| {
        (
            ledger["match"]["clean"].clone(),
            ledger["match"]["matched"].clone(),
            ledger["judge"].clone(),
        )
    };
    assert_eq!(without(&twice), without(&once));

    post_lines(&client, &platform.base, &lines, None).await;
    let thrice = settled(&client, &platform.base).await;
    assert_balanced(&thrice);
    assert_eq!(thrice["match"]["duplicate"], 3000, "without a key, every line counts");
    assert_eq!(thrice["match"]["ingested"], 9000);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_equations_hold_at_each_of_1000_reads_under_load() {
    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path(), &[("RATE_LIMIT_REQUESTS", "0")]);
    let done = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (base, done) = (platform.base.clone(), done.clone());
        async move {
            let client = client();
            let lines = traffic::lines(2, 2000);
            while !done.load(Ordering::SeqCst) {
                post_lines(&client, &base, &lines, None).await;
            }
        }
    });
    let client = client();
    let mut moving = 0;
    let mut last = Value::Null;
    let (mut reads, deadline) = (0, Instant::now() + PATIENCE);
    // Reads of a ledger that stands still would prove nothing.
    while reads < 1000 || moving < 20 {
        reads += 1;
        let ledger = get(&client, &platform.base, "/api/analytics/ledger").await;
        assert_balanced(&ledger);
        moving += usize::from(ledger["match"]["ingested"] != last);
        last = ledger["match"]["ingested"].clone();
        assert!(Instant::now() < deadline, "the ledger moved {moving} times only");
    }
    done.store(true, Ordering::SeqCst);
    load.await.expect("the load ran");
}
