//! `/api/threats`.

use serde_json::json;

use crate::world::{World, threat};

#[tokio::test]
async fn pages_go_from_the_newest_to_the_oldest() {
    let world = World::new();
    world.plant((1..=5).map(threat).collect(), Vec::new()).await;
    let mut seen = Vec::new();
    let mut path = "/api/threats/recent?limit=2".to_owned();
    loop {
        let json = world.get(&path).await.json();
        let ids = json["threats"]
            .as_array()
            .unwrap()
            .iter()
            .map(|threat| threat["id"].as_str().unwrap().to_owned());
        let before = seen.len();
        seen.extend(ids);
        assert_eq!(json["count"], seen.len() - before);
        match json["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/threats/recent?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<String> = (1..=5).rev().map(|number| threat(number).id).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let world = World::new();
    world.plant((1..=5).map(threat).collect(), Vec::new()).await;
    for (query, count) in [
        ("", 5),
        ("?severity=HIGH", 2),
        ("?severity=HIGH&threat_type=BRUTE_FORCE", 2),
        ("?threat_type=DDOS", 0),
        ("?source_ip=203.0.113.7", 5),
        ("?source_ip=::ffff:203.0.113.7", 5),
        ("?source_ip=203.0.113.8", 0),
        ("?technique=T1110", 5),
        ("?technique=T1110.001", 5),
        ("?technique=T1059", 0),
        ("?simulated=true", 0),
        ("?simulated=false", 5),
        ("?since=2026-11-22T09:00:00.003Z", 3),
        ("?until=2026-11-22T09:00:00.003Z", 2),
        ("?since=2026-11-22T10:00:00.003%2B01:00", 3),
        ("?q=FAILED", 5),
        ("?q=nothing%20like%20it", 0),
        ("?q=&cursor=", 5),
    ] {
        let answer = world.get(&format!("/api/threats/recent{query}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["count"].clone()),
            (200, json!(count)),
            "{query}: {}",
            answer.json()
        );
    }
}

#[tokio::test]
async fn one_threat_its_events_and_the_numbers() {
    let world = World::new();
    world.plant(vec![threat(2)], Vec::new()).await;
    let id = threat(2).id;
    let answer = world.get(&format!("/api/threats/{id}")).await;
    assert_eq!(answer.json(), serde_json::to_value(threat(2)).unwrap());
    insta::assert_json_snapshot!(world.get(&format!("/api/threats/{id}/events")).await.json(), @r#"
    {
      "count": 1,
      "events": [
        {
          "event_id": "event-2",
          "format": "syslog",
          "raw": "Mar 27 <b>raw</b> \u001b[31m",
          "timestamp": "2026-11-22T09:00:00.000Z",
          "truncated": false
        }
      ],
      "threat_id": "THR-00000000000000000002"
    }
    "#);
    insta::assert_json_snapshot!(world.get("/api/threats/stats/summary").await.json(), @r#"
    {
      "severity_distribution": {
        "CRITICAL": 0,
        "HIGH": 1,
        "INFO": 0,
        "LOW": 0,
        "MEDIUM": 0
      },
      "total_threats": 1,
      "type_distribution": {
        "BRUTE_FORCE": 1
      }
    }
    "#);
}
