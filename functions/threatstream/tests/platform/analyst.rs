//! Analysts work on alerts while the analyzer does.

use serde_json::{Value, json};

use super::harness::{Platform, assert_balanced, client, get, post_lines, settled};

fn burst(hour: usize, count: usize) -> Vec<String> {
    (0..count)
        .map(|at| {
            format!(
                "<38>1 2026-11-20T{hour:02}:00:{:02}Z web-1 sshd 411 - - Failed password for root from 203.0.113.50 port 5{at:04} ssh2",
                at % 60
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_alert_is_followed_by_one_that_names_it() {
    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path(), &[]);
    let client = client();
    post_lines(&client, &platform.base, &burst(9, 20), None).await;
    settled(&client, &platform.base).await;
    let alerts = get(&client, &platform.base, "/api/alerts/active").await;
    let first = alerts["alerts"]
        .as_array()
        .expect("alerts")
        .iter()
        .find(|alert| alert["severity"] == "HIGH")
        .expect("one")
        .clone();
    let id = first["id"].as_str().expect("an id");
    for (action, body) in [
        ("acknowledge", json!({"analyst_id": "ana"})),
        (
            "resolve",
            json!({"analyst_id": "ana", "resolution": "password login was switched off"}),
        ),
    ] {
        let url = format!("{}/api/alerts/{id}/{action}", platform.base);
        let answer = client.post(url).json(&body).send().await.expect("an answer");
        assert_eq!(
            answer.status(),
            200,
            "{action}: {}",
            answer.text().await.unwrap_or_default()
        );
    }
    let backwards = client
        .post(format!("{}/api/alerts/{id}/acknowledge", platform.base))
        .json(&json!({"analyst_id": "bo"}));
    assert_eq!(backwards.send().await.expect("an answer").status(), 409);

    // Within the hour of the first, so that it would have joined it.
    post_lines(&client, &platform.base, &burst(9, 40)[20..], Some("later")).await;
    post_lines(&client, &platform.base, &burst(10, 20), Some("next")).await;
    let ledger = settled(&client, &platform.base).await;
    assert_balanced(&ledger);
    let alerts = get(&client, &platform.base, "/api/alerts/active").await;
    let next = alerts["alerts"]
        .as_array()
        .expect("alerts")
        .iter()
        .find(|alert| alert["previous_alert"] == id);
    assert!(next.is_some(), "{alerts}");
    let closed = get(&client, &platform.base, &format!("/api/alerts/{id}")).await;
    assert_eq!(
        (&closed["status"], &closed["event_count"]),
        (&json!("RESOLVED"), &first["event_count"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn analysts_and_the_analyzer_change_one_alert_at_once() {
    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path(), &[("RATE_LIMIT_REQUESTS", "0")]);
    let client = client();
    post_lines(&client, &platform.base, &burst(9, 20), None).await;
    settled(&client, &platform.base).await;
    let alerts = get(&client, &platform.base, "/api/alerts/active").await;
    let before = alerts["alerts"]
        .as_array()
        .expect("alerts")
        .iter()
        .find(|alert| alert["severity"] == "HIGH")
        .expect("one")
        .clone();
    let id = before["id"].as_str().expect("an id").to_owned();

    let notes = tokio::spawn({
        let (client, base, id) = (client.clone(), platform.base.clone(), id.clone());
        async move {
            for number in 0..200 {
                let body = json!({"analyst_id": "ana", "notes": format!("note {number}")});
                let answer = client
                    .post(format!("{base}/api/alerts/{id}/notes"))
                    .json(&body)
                    .send()
                    .await
                    .expect("an answer");
                assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
            }
        }
    });
    for number in 0..100 {
        post_lines(&client, &platform.base, &burst(9, 20), Some(&format!("flood-{number}"))).await;
    }
    notes.await.expect("every note is taken");
    let ledger = settled(&client, &platform.base).await;
    assert_balanced(&ledger);
    assert_eq!(ledger["judge"]["duplicate"], 0, "nothing was judged twice: {ledger}");
    let after: Value = get(&client, &platform.base, &format!("/api/alerts/{id}")).await;
    assert_eq!(after["notes"].as_array().map(Vec::len), Some(200));
    assert_eq!(after["version"], 200);
    assert_eq!(
        after["event_count"].as_u64(),
        before["event_count"].as_u64().map(|count| count + 2000),
        "every event counts"
    );
}
