//! From an attack to a blocked address, and from a drill to nothing but a report.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::harness::{PATIENCE, Platform, client, get, post_lines, until};

fn attack(ip: &str) -> Vec<String> {
    (0..12)
        .map(|at| format!("<38>1 2026-11-20T09:00:{at:02}Z web-1 sshd 411 - - Failed password for root from {ip} port 5053{at} ssh2"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_is_live_alerted_and_blocked() {
    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path(), &[]);
    let client = client();
    let url = format!("{}/ws/live", platform.base.replace("http://", "ws://"));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("a socket");
    socket
        .send(Message::text(r#"{"type":"handshake","epoch":0}"#))
        .await
        .expect("sent");
    post_lines(&client, &platform.base, &attack("203.0.113.77"), None).await;

    let mut awaited = vec![
        "initial_state",
        "new_threat",
        "new_alert",
        "playbook_status",
        "threat_update",
    ];
    let seen = async {
        while !awaited.is_empty() {
            let message = socket.next().await.expect("the socket stays open").expect("a frame");
            let frame: Value = match message {
                Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
                _ => continue,
            };
            awaited.retain(|kind| frame["type"] != *kind);
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("every kind of frame");

    let blocked = until("the address is blocked", async || {
        let list = client
            .get(format!("{}/api/blocklist?format=txt", platform.base))
            .send()
            .await
            .ok()?
            .text()
            .await
            .ok()?;
        list.lines().any(|line| line == "203.0.113.77").then_some(list)
    })
    .await;
    assert_eq!(blocked.lines().filter(|line| line.contains("203.0.113.77")).count(), 1);
    let threats = get(&client, &platform.base, "/api/threats/recent?source_ip=203.0.113.77").await;
    let severe = threats["threats"]
        .as_array()
        .and_then(|list| list.iter().find(|threat| threat["severity"] == "HIGH"));
    let severe = severe.unwrap_or_else(|| panic!("no severe threat: {threats}"));
    assert_eq!(severe["auto_blocked"], true, "{threats}");
    let id = severe["id"].as_str().expect("an id");
    let events = get(&client, &platform.base, &format!("/api/threats/{id}/events")).await;
    assert!(events.to_string().contains("Failed password for root"), "{events}");

    assert_eq!(platform.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_is_detected_labelled_and_blocks_nobody() {
    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path(), &[]);
    let client = client();
    let order = json!({"attack_vector": "BRUTE_FORCE", "duration_seconds": 10, "target_eps": 50, "intensity": "HIGH"});
    let started = client
        .post(format!("{}/api/simulation/start", platform.base))
        .json(&order)
        .send()
        .await
        .expect("an answer");
    assert_eq!(started.status(), 202);
    let threat = until("the drill is detected", async || {
        let threats = get(
            &client,
            &platform.base,
            "/api/threats/recent?simulated=true&threat_type=BRUTE_FORCE",
        )
        .await;
        threats["threats"].get(0).cloned()
    })
    .await;
    assert_eq!(threat["simulated"], true);
    let execution = until("the playbook has run", async || {
        let history = get(&client, &platform.base, "/api/playbooks/history").await;
        history["executions"]
            .as_array()?
            .iter()
            .find(|execution| execution["status"] == "COMPLETED")
            .cloned()
    })
    .await;
    assert_eq!(execution["dry_run"], true, "{execution}");
    assert_eq!(get(&client, &platform.base, "/api/blocklist").await["count"], 0);
    let risk = get(&client, &platform.base, "/api/analytics/risk-index").await;
    assert_eq!(risk["value"], 0, "a drill is no risk: {risk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_gets_its_verdict_and_metadata_does_not_soften_it() {
    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path(), &[]);
    let client = client();
    let verdict = async |event: Value| -> Value {
        let response = client
            .post(format!("{}/api/simulate/event", platform.base))
            .json(&event)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), 200);
        response.json().await.expect("JSON")
    };
    let event = |attempts: u32, metadata: Value| json!({"event_type": "brute_force", "source_ip": "203.0.113.9", "payload": {"attempts": attempts}, "metadata": metadata});
    let plain = verdict(event(50, json!({}))).await;
    let softened = verdict(event(
        50,
        json!({"label": "normal", "severity": "INFO", "verdict": "benign"}),
    ))
    .await;
    assert_eq!(plain["threat"]["severity"], softened["threat"]["severity"]);
    assert_eq!(plain["threat"]["threat_type"], "BRUTE_FORCE");
    let named_only = verdict(event(1, json!({}))).await;
    assert_eq!(
        named_only["threat"],
        Value::Null,
        "a name alone is no attack: {named_only}"
    );
}
