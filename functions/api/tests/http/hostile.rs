//! Bad input: each is a problem that names the field, and the process lives.

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn bodies() {
    let world = World::new();
    let nested = format!(
        "{{\"event_type\":\"a\",\"payload\":{}1{}}}",
        "{\"a\":".repeat(100_000),
        "}".repeat(100_000)
    );
    let table: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("application/json", b"".to_vec(), 400, "body"),
        ("application/json", b" \n".to_vec(), 400, "body"),
        ("application/json", b"[]".to_vec(), 400, "body"),
        ("application/json", b"{\"Records\":[]}".to_vec(), 400, "body"),
        ("application/json", b"{\"event_type\":".to_vec(), 400, "body"),
        ("application/json", b"[{\"event_type\":\"a\"},".to_vec(), 400, "body"),
        ("application/json", b"[{\"event_type\":\"a\"}] x".to_vec(), 400, "body"),
        ("application/json", b"7".to_vec(), 400, "body"),
        ("application/json", b"{}".to_vec(), 400, "event_type"),
        ("application/json", b"{\"event_type\":\"\xff\"}".to_vec(), 400, "body"),
        ("application/json", nested.clone().into_bytes(), 400, "body"),
        ("application/json", "[".repeat(100_000).into_bytes(), 400, "body"),
        ("application/json", format!("[{nested}]").into_bytes(), 400, "body"),
        (
            "application/json",
            json!({"event_type": "a", "destination_port": 99_999_999})
                .to_string()
                .into_bytes(),
            400,
            "destination_port",
        ),
        (
            "application/json",
            json!({"event_type": "a", "timestamp": "99999-01-01T00:00:00Z"})
                .to_string()
                .into_bytes(),
            400,
            "timestamp",
        ),
        (
            "application/json",
            json!({"event_type": "a", "source_ip": "999.1.1.1"})
                .to_string()
                .into_bytes(),
            400,
            "source_ip",
        ),
        (
            "application/json",
            json!({"event_type": "a", "event_id": "x".repeat(10_000_000)})
                .to_string()
                .into_bytes(),
            400,
            "event_id",
        ),
        (
            "application/json",
            json!({"event_type": "a", "event_id": "a\u{1b}[31m"})
                .to_string()
                .into_bytes(),
            400,
            "event_id",
        ),
        (
            "application/json",
            json!({"event_type": "a", "payload": {"x": "y".repeat(300_000)}})
                .to_string()
                .into_bytes(),
            400,
            "body",
        ),
        ("application/json", vec![b' '; 11 * 1024 * 1024], 413, "body"),
        ("application/x-ndjson", b"\n\r\n \n".to_vec(), 400, "body"),
        (
            "application/x-ndjson",
            b"\n{\"event_type\":\"\xff\"}".to_vec(),
            400,
            "line 2",
        ),
        (
            "application/x-ndjson",
            b"\n{\"event_type\":\"a\",\"source_ip\":\"x\"}\n".to_vec(),
            400,
            "line 2: source_ip",
        ),
        ("application/x-ndjson", nested.into_bytes(), 400, "line 1"),
        ("text/plain", b"".to_vec(), 400, "body"),
        ("text/plain", vec![b'x'; 300_000], 400, "line 1"),
        (
            "text/plain",
            b"{\"event_type\":\"a\",\"source_ip\":\"x\"}".to_vec(),
            400,
            "line 1: source_ip",
        ),
        (
            "application/x-www-form-urlencoded",
            b"a=b".to_vec(),
            415,
            "content-type",
        ),
        ("\u{fc}".trim(), b"a".to_vec(), 415, "content-type"),
    ];
    for (kind, body, status, field) in table {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let request = Request::post("/api/events")
            .header("content-type", kind.as_bytes())
            .body(Body::from(body))
            .unwrap();
        let answer = world.send(request).await;
        assert_eq!(
            answer.status,
            status,
            "{kind} {shown}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        assert!(
            answer
                .fields()
                .iter()
                .any(|named| named == field || (field == "body" && named == "line 1")),
            "{kind} {shown}: {:?}",
            answer.fields()
        );
        assert!(answer.body.len() < 4096, "{kind} {shown}: nothing huge is repeated");
        if status == 400 && answer.json().get("rejected").is_some() {
            assert_eq!(answer.json()["accepted"], 0);
        }
    }
    assert!(world.events().await.is_empty());
}

#[tokio::test]
async fn a_bomb_of_gzip_is_too_large() {
    use std::io::Write;
    let world = World::new();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b'a'; 64 << 20]).unwrap();
    let request = Request::post("/api/events")
        .header("content-type", "text/plain")
        .header("content-encoding", "gzip")
        .body(Body::from(encoder.finish().unwrap()))
        .unwrap();
    let answer = world.send(request).await;
    assert_eq!(
        (answer.status.as_u16(), answer.fields()),
        (413, vec!["body".to_owned()])
    );
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced_in_lines() {
    let world = World::new();
    let answer = world
        .post("/api/events", "text/plain", b"a\xffb\0c\n\x1b[31m".to_vec())
        .await;
    assert_eq!(answer.json()["accepted"], 2);
    let raws: Vec<String> = world.events().await.into_iter().map(|(_, raw)| raw).collect();
    assert_eq!(raws, ["a\u{fffd}b\0c", "\u{1b}[31m"]);
}

#[tokio::test]
async fn queries_and_headers() {
    let world = World::new();
    for (path, field, says) in [
        ("/api/threats/recent?severity=high", "severity", "CRITICAL"),
        ("/api/threats/recent?severity=", "severity", "CRITICAL"),
        ("/api/threats/recent?threat_type=X", "threat_type", "BRUTE_FORCE"),
        ("/api/threats/recent?limit=0", "limit", "1 to 500"),
        ("/api/threats/recent?limit=501", "limit", "1 to 500"),
        ("/api/threats/recent?limit=many", "limit", "1 to 500"),
        ("/api/threats/recent?since=99999-01-01T00:00:00Z", "since", "RFC 3339"),
        ("/api/threats/recent?source_ip=999.1.1.1", "source_ip", "IP address"),
        ("/api/threats/recent?technique=x", "technique", "T1110"),
        ("/api/threats/recent?simulated=perhaps", "simulated", "true"),
        ("/api/threats/recent?cursor=%00not-ours", "cursor", "next_cursor"),
        ("/api/threats/recent?colour=red", "colour", "threat_type"),
        ("/api/alerts?status=new", "status", "ACKNOWLEDGED"),
        ("/api/alerts/active?priority=P9", "priority", "P4"),
        ("/api/alerts/active?status=NEW", "status", "assignee"),
        ("/api/alerts?cursor=not-ours", "cursor", "next_cursor"),
        ("/api/alerts?updated_since=yesterday", "updated_since", "RFC 3339"),
    ] {
        let answer = world.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.fields()),
            (400, vec![field.to_owned()]),
            "{path}"
        );
        assert!(
            answer.json()["errors"][0]["message"].as_str().unwrap().contains(says),
            "{path}: {}",
            answer.json()
        );
    }
    let answer = world.post("/api/events?format=xml", "text/plain", "a").await;
    assert_eq!(answer.fields(), ["format"]);
    assert!(
        answer.json()["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("cloudtrail")
    );
    for key in [String::new(), "k".repeat(256), "a b".to_owned()] {
        let request = Request::post("/api/events")
            .header("content-type", "text/plain")
            .header("idempotency-key", key);
        let answer = world.send(request.body(Body::from("a")).unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.fields()),
            (400, vec!["idempotency-key".to_owned()])
        );
    }
    for path in [
        "/api/threats/THR-none",
        "/api/threats/THR-none/events",
        "/api/alerts/%00%1b",
    ] {
        assert_eq!(
            (world.get(path).await.status.as_u16(), world.get(path).await.fields()),
            (404, vec!["id".to_owned()]),
            "{path}"
        );
    }
}
