//! Google's emulators, where this machine runs them, and what of them only their REST face says.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::harness::client;

/// One test at a time: each counts on the machine's few cores.
static TURN: Mutex<()> = Mutex::const_new(());

/// Where the emulators are, and the turn to use them.
pub(crate) struct Emulators {
    pub(crate) firestore: String,
    pub(crate) pubsub: String,
    _turn: MutexGuard<'static, ()>,
}

impl Emulators {
    /// Waits for its turn. `None` where there are no emulators, which is a failure where they are required.
    pub(crate) async fn reach() -> Option<Self> {
        let turn = TURN.lock().await;
        let host = |variable: &str| {
            let host = std::env::var(variable).ok().filter(|host| !host.is_empty());
            if host.is_none() {
                let why = format!("{variable} is not set; `infra/ci/emulators run -- COMMAND` sets it");
                assert!(
                    std::env::var_os("THREATSTREAM_REQUIRE_EMULATORS").is_none(),
                    "emulators are required here: {why}"
                );
                eprintln!("left out: {why}");
            }
            host
        };
        Some(Self {
            firestore: host("FIRESTORE_EMULATOR_HOST")?,
            pubsub: host("PUBSUB_EMULATOR_HOST")?,
            _turn: turn,
        })
    }

    /// A queue of a project, pushed to where a function takes its tasks, as the infrastructure sets it up.
    pub(crate) async fn push(&self, project: &str, queue: &str, endpoint: &str) {
        let name = format!("threatstream-{queue}");
        let base = format!("http://{}/v1/projects/{project}", self.pubsub);
        let topic = format!("projects/{project}/topics/{name}");
        put(&format!("{base}/topics/{name}"), &json!({})).await;
        put(
            &format!("{base}/subscriptions/{name}"),
            &json!({"topic": topic, "pushConfig": {"pushEndpoint": endpoint}, "ackDeadlineSeconds": 600,
                "retryPolicy": {"minimumBackoff": "1s", "maximumBackoff": "10s"}}),
        )
        .await;
    }

    /// Every document of a project's database, with when it was last written.
    pub(crate) async fn documents(&self, project: &str) -> BTreeMap<String, String> {
        let url = format!(
            "http://{}/v1/projects/{project}/databases/(default)/documents:runQuery",
            self.firestore
        );
        let everything = json!({"structuredQuery": {"from": [{"allDescendants": true}],
            "select": {"fields": [{"fieldPath": "__name__"}]}}});
        let response = client()
            .post(url)
            .json(&everything)
            .send()
            .await
            .expect("the emulator answers");
        let text = response.text().await.expect("a body");
        let answer: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let said = |item: &Value, name: &str| Some(item["document"][name].as_str()?.to_owned());
        answer
            .iter()
            .filter_map(|item| Some((said(item, "name")?, said(item, "updateTime")?)))
            .collect()
    }
}

async fn put(url: &str, body: &Value) {
    let response = client().put(url).json(body).send().await.expect("the emulator answers");
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    assert!(status.is_success(), "PUT {url}: {status} {text}");
}
