//! What came of a run, compared with what one undisturbed process makes of the same lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use threatstream_backend::{AlertQuery, Page, Store, ThreatQuery};
use tokio::sync::OnceCell;

use super::harness::{Platform, all, assert_balanced, client, settled};
use super::sender::send;
use super::traffic;

/// What differs between runs of the same lines: the clock's times, and what responses changed meanwhile.
const OF_THE_RUN: &[&str] = &[
    "analyzed_at",
    "processing_time_ms",
    "auto_blocked",
    "contextual_analysis",
];
/// What depends on which of a window's events came last, for threats of several events.
const OF_THE_ORDER: &[&str] = &["event_id", "timestamp", "evidence", "destination_port"];
/// Both for alerts: which of a window's events came last is also the last that its alert has seen.
const OF_THE_ALERTS_RUN: &[&str] = &["created_at", "updated_at", "due_at", "timeline"];
/// How many differences a failure shows.
const SHOWN: usize = 5;

/// Threats, alerts and counters without what is the run's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// By id.
    pub(crate) threats: BTreeMap<String, Value>,
    /// By id.
    pub(crate) alerts: BTreeMap<String, Value>,
    /// Of the ledger, by name.
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

/// What one process over one file makes of the same lines; it is run once.
pub(crate) async fn undisturbed() -> Arc<Outcome> {
    static KNOWN: OnceCell<Arc<Outcome>> = OnceCell::const_new();
    let outcome = KNOWN.get_or_init(|| async {
        let lines = traffic::lines(traffic::size());
        let sent = lines.len();
        let data = tempfile::tempdir().expect("a folder");
        let platform = Platform::start(data.path(), &[("RATE_LIMIT_REQUESTS", "0")]);
        send(&platform.base, lines).await;
        let client = client();
        let ledger = settled(&client, &platform.base).await;
        let mut outcome = Outcome {
            counts: counts(&ledger),
            ..Outcome::default()
        };
        for threat in all(&client, &platform.base, "/api/threats/recent", "threats").await {
            outcome.add_threat(threat);
        }
        for alert in all(&client, &platform.base, "/api/alerts", "alerts").await {
            outcome.add_alert(alert);
        }
        assert_eq!(outcome.counts["ingested"], sent as u64, "{ledger}");
        assert!(
            outcome.threats.len() >= traffic::least_threats(sent) && !outcome.alerts.is_empty(),
            "the lines hold attacks: {ledger}"
        );
        Arc::new(outcome)
    });
    outcome.await.clone()
}

/// The counters that must agree. Duplicates are not among them: what is read or sent twice is one.
fn counts(ledger: &Value) -> BTreeMap<&'static str, u64> {
    assert_balanced(ledger);
    assert_eq!(ledger["match"]["lost"], 0, "{ledger}");
    let part = |half: &str, name: &str| ledger[half][name].as_u64().expect("a number");
    BTreeMap::from([
        ("ingested", part("match", "ingested") - part("match", "duplicate")),
        ("clean", part("match", "clean")),
        ("matched", part("match", "matched")),
        ("dead_lettered", part("match", "dead_lettered")),
        ("stored", part("judge", "stored")),
        ("counted", part("judge", "counted")),
        ("suppressed", part("judge", "suppressed")),
    ])
}

impl Outcome {
    /// What a store holds, page by page, and what the ledger says.
    pub(crate) async fn of(store: &dyn Store, ledger: &Value) -> Self {
        let mut outcome = Self {
            counts: counts(ledger),
            ..Self::default()
        };
        let mut cursor = None;
        loop {
            let query = ThreatQuery {
                limit: 200,
                cursor: cursor.take(),
                ..ThreatQuery::default()
            };
            let Page { items, next_cursor } = store.threats(&query).await.expect("a page of threats");
            for threat in items {
                outcome.add_threat(serde_json::to_value(threat).expect("JSON"));
            }
            cursor = next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        loop {
            let query = AlertQuery {
                limit: 200,
                cursor: cursor.take(),
                ..AlertQuery::default()
            };
            let Page { items, next_cursor } = store.alerts(&query).await.expect("a page of alerts");
            for alert in items {
                outcome.add_alert(serde_json::to_value(alert).expect("JSON"));
            }
            cursor = next_cursor;
            if cursor.is_none() {
                return outcome;
            }
        }
    }

    fn add_threat(&mut self, mut threat: Value) {
        let id = id_of(&threat);
        strip(&mut threat, OF_THE_RUN);
        if threat["event_count"] != 1 {
            strip(&mut threat, OF_THE_ORDER);
            // One of the signals quotes the event that came last.
            if let Some(signals) = threat["contributing_signals"].as_array_mut() {
                signals.retain(|signal| !signal.as_str().is_some_and(|text| text.starts_with("message = ")));
            }
        }
        assert!(self.threats.insert(id, threat).is_none(), "a threat was listed twice");
    }

    fn add_alert(&mut self, mut alert: Value) {
        let id = id_of(&alert);
        strip(&mut alert, OF_THE_ALERTS_RUN);
        assert!(self.alerts.insert(id, alert).is_none(), "an alert was listed twice");
    }

    /// Asserts that both runs came to the same.
    pub(crate) fn assert_same(&self, expected: &Self) {
        assert_eq!(self.counts, expected.counts, "the ledger");
        differences("threat", &self.threats, &expected.threats);
        differences("alert", &self.alerts, &expected.alerts);
    }
}

fn id_of(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

fn strip(value: &mut Value, names: &[&str]) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| !names.contains(&name.as_str()));
    }
}

fn differences(what: &str, found: &BTreeMap<String, Value>, expected: &BTreeMap<String, Value>) {
    let mut wrong = Vec::new();
    for (id, value) in expected {
        match found.get(id) {
            None => wrong.push(format!("{what} {id} is missing: {value}")),
            Some(other) if other != value => {
                wrong.push(format!("{what} {id} differs:\n    {other}\n not {value}"));
            }
            Some(_) => {}
        }
    }
    let extra = found.keys().filter(|id| !expected.contains_key(*id));
    wrong.extend(extra.map(|id| format!("{what} {id} should not be: {}", found[id])));
    let count = wrong.len();
    wrong.truncate(SHOWN);
    assert!(count == 0, "{count} differences:\n{}", wrong.join("\n"));
}
