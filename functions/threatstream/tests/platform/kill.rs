//! SIGKILL at ten random moments, and nothing to be seen of it afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::harness::{self, Outcome, Platform, assert_balanced, client, settled, size};
use super::traffic;

/// Sites that send at once; each sends its requests one after another, as a log shipper does.
const SITES: usize = 4;
const LINES_A_REQUEST: usize = 500;
const KILLS: usize = 10;

/// Sends everything of a site; what was not answered is sent again under its key.
async fn send(site: usize, count: usize, base: watch::Receiver<String>, answered: Arc<AtomicUsize>) {
    let client = client();
    for (number, chunk) in traffic::lines(site, count).chunks(LINES_A_REQUEST).enumerate() {
        let body = chunk.join("\n");
        loop {
            let url = format!("{}/api/events", *base.borrow());
            let request = client
                .post(url)
                .header("content-type", "text/plain")
                .header("idempotency-key", format!("site-{site}-{number}"))
                .body(body.clone());
            match request.send().await {
                Ok(response) if response.status() == 202 => {
                    if let Ok(answer) = response.json::<Value>().await {
                        assert_eq!(answer["accepted"], chunk.len(), "{answer}");
                        break;
                    }
                }
                Ok(response) => assert_eq!(response.status(), 503, "only overload is no answer"),
                Err(_) => {}
            }
            // The platform is being started again.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// Sends everything, with kills after these numbers of answered requests: the ledger, and what came of it.
async fn run(events: usize, kills: &[usize]) -> (Value, Outcome) {
    let data = tempfile::tempdir().expect("a folder");
    let mut platform = Platform::start(data.path(), &[]);
    let (tell, base) = watch::channel(platform.base.clone());
    let answered = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SITES)
        .map(|site| tokio::spawn(send(site, events / SITES, base.clone(), answered.clone())))
        .collect();
    for kill in kills {
        harness::until("enough is answered", async || {
            (answered.load(Ordering::SeqCst) >= *kill).then_some(())
        })
        .await;
        platform.kill();
        platform = Platform::start(data.path(), &[]);
        tell.send(platform.base.clone()).expect("senders listen");
    }
    for sender in senders {
        sender.await.expect("everything is sent");
    }
    let client = client();
    let ledger = settled(&client, &platform.base).await;
    assert_balanced(&ledger);
    let outcome = Outcome::of(&client, &platform.base).await;
    (ledger, outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_leave_no_trace() {
    let events = size("THREATSTREAM_TEST_EVENTS", 200_000) / (SITES * LINES_A_REQUEST) * (SITES * LINES_A_REQUEST);
    let requests = events / LINES_A_REQUEST;
    let mut kills: Vec<usize> = (0..KILLS).map(|_| rand::random_range(0..requests * 9 / 10)).collect();
    kills.sort_unstable();
    eprintln!("{events} events, killed after {kills:?} of {requests} requests");

    let (calm, expected) = run(events, &[]).await;
    assert!(
        expected.threats.len() > 20 && expected.alerts.len() > 4,
        "the traffic holds attacks: {calm}"
    );
    assert!(
        calm["judge"]["suppressed"].as_u64() > Some(0),
        "and more of one than is stored: {calm}"
    );
    let (disturbed, outcome) = run(events, &kills).await;

    for (half, name) in [
        ("match", "clean"),
        ("match", "matched"),
        ("judge", "stored"),
        ("judge", "counted"),
        ("judge", "suppressed"),
    ] {
        assert_eq!(disturbed[half][name], calm[half][name], "{half}.{name}: {disturbed}");
    }
    assert_eq!(calm["match"]["ingested"], events);
    assert_eq!(outcome, expected);
}
