//! A dashboard: a socket at the relay that keeps account of what it is told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use super::harness::until;

/// What a dashboard was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// How often each threat was new.
    pub(crate) threats: BTreeMap<String, u32>,
    /// How often each alert was new.
    pub(crate) new_alerts: BTreeMap<String, u32>,
    /// What an alert's events were counted to, last.
    pub(crate) alert_events: BTreeMap<String, u64>,
    /// How many frames of each kind came.
    pub(crate) kinds: BTreeMap<String, u32>,
    /// When the threat that an event completed was first heard of.
    pub(crate) arrived: HashMap<String, Instant>,
    /// The last place in the feed, and the feed's epoch.
    pub(crate) place: Option<(String, String)>,
    /// How often a frame's place lay before that of the frame before it.
    pub(crate) backwards: u32,
    /// The socket is closed.
    pub(crate) closed: bool,
}

impl Seen {
    pub(crate) fn count(&self, kind: &str) -> u32 {
        self.kinds.get(kind).copied().unwrap_or_default()
    }

    fn take(&mut self, frame: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = text(&frame["type"]);
        let data = &frame["data"];
        match kind.as_str() {
            "new_threat" => {
                *self.threats.entry(text(&data["id"])).or_default() += 1;
                self.arrived.entry(text(&data["event_id"])).or_insert_with(Instant::now);
            }
            "new_alert" | "alert_update" => {
                let id = text(&data["id"]);
                if kind == "new_alert" {
                    *self.new_alerts.entry(id.clone()).or_default() += 1;
                }
                self.alert_events
                    .insert(id, data["event_count"].as_u64().unwrap_or_default());
            }
            _ => {}
        }
        if let Some(seq) = frame["seq"].as_str() {
            let epoch = frame["epoch"].as_str().map(str::to_owned);
            let epoch = epoch
                .or_else(|| Some(self.place.as_ref()?.1.clone()))
                .unwrap_or_default();
            if let Some((last, same)) = &self.place
                && *same == epoch
                && seq < last.as_str()
            {
                self.backwards += 1;
            }
            self.place = Some((seq.to_owned(), epoch));
        }
        *self.kinds.entry(kind).or_default() += 1;
    }
}

/// A socket that is read in the background.
pub(crate) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Connects, as a dashboard that comes for the first time; its picture is complete when this returns.
    pub(crate) async fn connect(relay: &str) -> Self {
        Self::shake(relay, json!({"type": "handshake", "epoch": 0}), "initial_state").await
    }

    /// Connects, as one that was there before, at a place in the feed; `answer` is what it has to be told first.
    pub(crate) async fn resume(relay: &str, (seq, epoch): &(String, String), answer: &str) -> Self {
        let handshake = json!({"type": "handshake", "epoch": 0, "resume": {"seq": seq, "epoch": epoch}});
        Self::shake(relay, handshake, answer).await
    }

    async fn shake(relay: &str, handshake: Value, answer: &str) -> Self {
        let url = format!("{}/ws/live", relay.replace("http://", "ws://"));
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("a socket");
        socket
            .send(Message::text(handshake.to_string()))
            .await
            .expect("the handshake is sent");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                while let Some(Ok(message)) = socket.next().await {
                    if let Message::Text(text) = message {
                        let frame = serde_json::from_str(&text).expect("a frame is JSON");
                        seen.lock().take(&frame);
                    }
                }
                seen.lock().closed = true;
            }
        });
        let watcher = Self { seen, task };
        until("the handshake is answered", async || {
            (watcher.seen.lock().count(answer) > 0).then_some(())
        })
        .await;
        watcher
    }

    /// What it was told so far.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }

    /// When the threat that an event completed arrived.
    pub(crate) fn arrival(&self, event_id: &str) -> Option<Instant> {
        self.seen.lock().arrived.get(event_id).copied()
    }

    /// Waits until these threats have come, and asserts that each came once, none else did, and nothing was said to be missing.
    pub(crate) async fn assert_once<'a>(&self, threats: impl IntoIterator<Item = &'a String>) {
        let expected: BTreeMap<String, u32> = threats.into_iter().map(|id| (id.clone(), 1)).collect();
        until("the dashboard knows every threat", async || {
            let seen = self.seen.lock();
            assert!(!seen.closed, "the relay closed the socket");
            expected.keys().all(|id| seen.threats.contains_key(id)).then_some(())
        })
        .await;
        let seen = self.seen();
        let wrong: Vec<_> = seen
            .threats
            .iter()
            .filter(|(id, count)| expected.get(*id) != Some(count))
            .take(5)
            .collect();
        assert!(wrong.is_empty(), "told more than once, or not to be told: {wrong:?}");
        assert_eq!(seen.count("resync"), 0, "nothing was missing: {:?}", seen.kinds);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}
