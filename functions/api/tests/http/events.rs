//! `POST /api/events`.

use std::io::Write;

use axum::body::Body;
use http::Request;
use serde_json::json;
use threatstream_api::Config;

use crate::world::{World, good_rules};

const SSH: &str = "Mar 27 13:08:09 host sshd[1]: Failed password for root from 203.0.113.7 port 4022 ssh2";

#[tokio::test]
async fn lines_are_taken_as_they_are_and_numbered() {
    let world = World::new();
    let body = format!("{SSH}\r\n\r\n  \nsecond line \n\u{feff}third\nlast without an end");
    let answer = world.post("/api/events", "text/plain; charset=utf-8", body).await;
    insta::assert_json_snapshot!(answer.json(), @r#"
    {
      "accepted": 4,
      "errors": [],
      "rejected": 0
    }
    "#);
    assert_eq!(answer.status, 202);
    let raws: Vec<String> = world.events().await.into_iter().map(|(_, raw)| raw).collect();
    assert_eq!(raws, [SSH, "second line ", "\u{feff}third", "last without an end"]);
}

#[tokio::test]
async fn an_envelope_holds_who_sent_what_and_when() {
    let world = World::new();
    let answer = world.post("/api/events?format=syslog", "text/plain", SSH).await;
    assert_eq!(answer.status, 202);
    let records = world.records(&world.backends.topics.raw).await;
    let mut envelope: serde_json::Value = serde_json::from_slice(&records[0].value).unwrap();
    assert!(envelope["event_id"].as_str().unwrap().starts_with("EVT-"));
    envelope["event_id"] = json!("new");
    assert_eq!(
        envelope,
        json!({"event_id": "new", "format": "syslog", "received_at": "2026-11-22T09:00:00.000Z", "sender": "local", "raw": SSH})
    );
    assert!(records[0].headers.is_empty());
}

#[tokio::test]
async fn bad_lines_are_named_and_the_rest_is_taken() {
    let world = World::new();
    let mut lines: Vec<String> = (1..=10)
        .map(|n| json!({"event_id": format!("e{n}"), "event_type": "login"}).to_string())
        .collect();
    lines[6] = "{\"event_type\": ".to_owned();
    lines[8] = json!({"event_type": "login", "destination_port": 99_999_999}).to_string();
    let answer = world
        .post("/api/events", "application/x-ndjson", lines.join("\n"))
        .await;
    insta::assert_json_snapshot!(answer.json(), @r#"
    {
      "accepted": 8,
      "errors": [
        {
          "line": 7,
          "message": "not a JSON object: EOF while parsing a value at line 1 column 14"
        },
        {
          "line": 9,
          "message": "destination_port: must be a whole number between 0 and 65535"
        }
      ],
      "rejected": 2
    }
    "#);
    let ids: Vec<String> = world.events().await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["e1", "e2", "e3", "e4", "e5", "e6", "e8", "e10"]);
}

#[tokio::test]
async fn arrays_and_cloudtrail_files_are_split_and_keep_their_text() {
    let world = World::new();
    let body = "\u{feff} [ {\"event_type\":\"a\" ,\n \"n\":1.0}, 7, {\"event_id\":\"b\",\"event_type\":\"b\"} ] ";
    let answer = world.post("/api/events", "application/json", body).await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.json()["accepted"].clone(),
            answer.json()["errors"][0]["line"].clone()
        ),
        (202, json!(2), json!(2))
    );
    let file = r#"{"Records": [{"eventVersion":"1.08","eventID":"11111111-aaaa","eventSource":"iam.amazonaws.com","eventName":"CreateUser"}]}"#;
    assert_eq!(
        world.post("/api/events", "application/json", file).await.json()["accepted"],
        1
    );
    let events = world.events().await;
    assert_eq!(events[0].1, "{\"event_type\":\"a\" ,\n \"n\":1.0}");
    assert_eq!(events[1].0, "b");
    assert_eq!(events[2].0, "11111111-aaaa");
    assert!(events[2].1.starts_with("{\"eventVersion\""));
}

#[tokio::test]
async fn a_key_names_the_same_events_again() {
    let world = World::new();
    let send = async |key: Option<&str>, body: &'static str| {
        let mut request = Request::post("/api/events").header("content-type", "text/plain");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        assert_eq!(world.send(request.body(Body::from(body)).unwrap()).await.status, 202);
    };
    send(Some("k-1"), "one\n\ntwo").await;
    send(Some("k-1"), "one\n\ntwo").await;
    send(Some("k-2"), "one\n\ntwo").await;
    send(None, "one\n\ntwo").await;
    send(None, "{\"event_id\":\"mine\",\"event_type\":\"x\"}").await;
    send(Some("k-1"), "{\"event_id\":\"mine\",\"event_type\":\"x\"}").await;
    let ids: Vec<String> = world.events().await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids[0..2], ids[2..4]);
    assert!(ids[0].ends_with("-1") && ids[1].ends_with("-3"), "{ids:?}");
    let mut different: Vec<&String> = ids[2..8].iter().collect();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 6);
    assert_eq!(ids[8..], ["mine", "mine"]);
}

#[tokio::test]
async fn gzip_is_understood() {
    let world = World::new();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(SSH.as_bytes()).unwrap();
    let request = Request::post("/api/events")
        .header("content-type", "text/plain")
        .header("content-encoding", "gzip")
        .body(Body::from(encoder.finish().unwrap()))
        .unwrap();
    assert_eq!(world.send(request).await.json()["accepted"], 1);
    assert_eq!(world.events().await[0].1, SSH);
}

#[tokio::test]
async fn without_a_content_type_the_first_byte_tells() {
    let world = World::new();
    for (body, accepted) in [("[{\"event_type\":\"a\"},{\"event_type\":\"b\"}]", 2), (SSH, 1)] {
        let answer = world
            .send(Request::post("/api/events").body(Body::from(body)).unwrap())
            .await;
        assert_eq!(answer.json()["accepted"], accepted, "{body}");
    }
}

#[tokio::test]
async fn a_large_body_goes_in_chunks_and_in_order() {
    let world = World::new();
    let lines: Vec<String> = (0..20_000).map(|n| format!("line {n}")).collect();
    let answer = world.post("/api/events", "text/plain", lines.join("\n")).await;
    assert_eq!(answer.json(), json!({"accepted": 20_000, "rejected": 0, "errors": []}));
    let array = format!("[{}]", vec!["{\"event_type\":\"a\"}"; 2000].join(","));
    assert_eq!(
        world
            .post("/api/events", "application/json", array.clone())
            .await
            .json()["accepted"],
        2000
    );
    let answer = world
        .post(
            "/api/events",
            "application/json",
            &*format!("{}x", &array[..array.len() - 1]).leak(),
        )
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.fields()),
        (400, vec!["body".to_owned()])
    );
    let events = world.events().await;
    assert_eq!(events.len(), 22_000, "nothing of a broken document is taken");
    assert!(events.iter().zip(&lines).all(|((_, raw), line)| raw == line));
}

#[tokio::test]
async fn at_most_a_hundred_errors_are_listed() {
    let world = World::new();
    let body = format!("{}{{\"event_type\":\"a\"}}", "x\n".repeat(150));
    let json = world.post("/api/events", "application/x-ndjson", body).await.json();
    assert_eq!(
        (
            json["rejected"].clone(),
            json["errors"].as_array().unwrap().len(),
            json["errors_omitted"].clone()
        ),
        (json!(150), 100, json!(50))
    );
}

#[tokio::test]
async fn a_full_log_is_503_and_says_when_to_come_again() {
    let world = World::with(Config::default(), good_rules(), |mut options| {
        options.max_log_bytes = 1;
        options
    });
    // The cap is looked at when something is there already.
    let mut answer = world.post("/api/events", "text/plain", SSH).await;
    for _ in 0..1000 {
        if answer.status != 202 {
            break;
        }
        answer = world.post("/api/events", "text/plain", SSH).await;
    }
    assert_eq!(answer.status, 503);
    assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
    assert!(answer.fields().is_empty());
}
