//! A log shipper: sends in order, and again under the same key what was not answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::harness::client;

/// Lines that a request holds.
pub(crate) const LINES_A_REQUEST: usize = 250;
/// An api that takes nothing for so long is broken, whatever else is.
const PATIENCE: Duration = Duration::from_secs(180);

/// Lines on their way.
pub(crate) struct Sending {
    answered: Arc<AtomicUsize>,
    task: JoinHandle<()>,
    /// How many requests there are in all.
    pub(crate) requests: usize,
}

impl Sending {
    /// Sends lines to an api, evenly over so long.
    pub(crate) fn over(base: &str, lines: Vec<String>, span: Duration) -> Self {
        Self::start(0, base, lines, span)
    }

    /// The same for lines that come after so many requests.
    pub(crate) fn start(first: usize, base: &str, lines: Vec<String>, span: Duration) -> Self {
        let requests = lines.len().div_ceil(LINES_A_REQUEST);
        let pause = span / u32::try_from(requests.max(1)).unwrap_or(u32::MAX);
        let answered = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn({
            let (base, answered) = (base.to_owned(), answered.clone());
            async move {
                for (number, chunk) in lines.chunks(LINES_A_REQUEST).enumerate() {
                    post(&base, first + number, chunk).await;
                    answered.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(pause).await;
                }
            }
        });
        Self {
            answered,
            task,
            requests,
        }
    }

    /// Requests answered so far.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Waits until everything is answered.
    pub(crate) async fn done(self) {
        self.task.await.expect("everything is sent");
    }
}

/// Sends all of them, one request after another.
pub(crate) async fn send(base: &str, lines: Vec<String>) {
    send_from(0, base, lines).await;
}

/// The same for lines that come after so many requests: how many there are then.
pub(crate) async fn send_from(first: usize, base: &str, lines: Vec<String>) -> usize {
    let sending = Sending::start(first, base, lines, Duration::ZERO);
    let requests = sending.requests;
    sending.done().await;
    first + requests
}

async fn post(base: &str, number: usize, lines: &[String]) {
    let client = client();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = client
            .post(format!("{base}/api/events"))
            .header("content-type", "text/plain")
            .header("idempotency-key", format!("upload-{number}"))
            .timeout(Duration::from_secs(40))
            .body(lines.join("\n"));
        match request.send().await {
            Ok(response) if response.status() == 202 => {
                if let Ok(answer) = response.json::<Value>().await {
                    assert_eq!(answer["accepted"], lines.len(), "{answer}");
                    return;
                }
            }
            Ok(response) => {
                let status = response.status();
                let text = response.text().await.unwrap_or_default();
                assert_eq!(status, 503, "only what passes may be refused: {text}");
            }
            Err(error) => eprintln!("request {number} was not answered: {error}"),
        }
        assert!(Instant::now() < deadline, "request {number} is refused for too long");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
