use std::collections::BTreeSet;

use serde_json::{Value, json};
use threatstream_backend::views::{DashboardStats, TimelinePoint};
use threatstream_domain::{
    Alert, BlockEntry, Claim, Execution, ExecutionStep, Ledger, Note, Original, RiskIndex, SimulationState, Threat,
    TimelineEntry, Timestamp, Triage,
};

use super::*;

const AT: &str = "2026-11-22T09:00:00.000Z";

fn document() -> Value {
    serde_json::to_value(openapi(Vec::new())).unwrap()
}

/// Holds the schema to what the type really serialises to: the same names, and null only where the schema allows it.
fn agree(document: &Value, name: &str, sample: &Value) {
    let schema = &document["components"]["schemas"][name];
    let described: BTreeSet<&String> = schema["properties"]
        .as_object()
        .unwrap_or_else(|| panic!("{name} is not described"))
        .keys()
        .collect();
    let real: BTreeSet<&String> = sample.as_object().unwrap().keys().collect();
    assert_eq!(described, real, "{name}");
    for (field, value) in sample.as_object().unwrap() {
        let property = schema["properties"][field].to_string();
        if value.is_null() {
            assert!(property.contains("\"null\""), "{name}.{field} may be null: {property}");
        }
    }
}

/// A sample by way of the domain's own type: what it does not know fails, what it has more of shows.
fn sample<T: serde::de::DeserializeOwned + serde::Serialize>(value: Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(value).unwrap()).unwrap()
}

#[test]
fn a_threat_is_as_described() {
    let document = document();
    let threat = json!({
        "id": "THR-0", "event_id": "e", "timestamp": AT, "severity": "HIGH", "threat_type": "DDOS", "risk_score": 1, "confidence": 0.5,
        "description": "", "contextual_analysis": "", "contributing_signals": [], "recommended_actions": [], "rule_ids": [], "rules_hash": "",
        "event_count": 1, "evidence": [], "auto_blocked": false, "simulated": false, "processing_time_ms": 0.5, "analyzed_at": AT,
        "audit_ref": "GEMINI",
    });
    agree(&document, "Threat", &sample::<Threat>(threat));
    let claim = json!({"text": "", "field": "", "value": "", "verified": true});
    agree(&document, "Claim", &sample::<Claim>(claim));
    let triage = json!({
        "verdict": "", "model": "", "prompt_version": "", "prompt_tokens": 1, "output_tokens": 1, "cost_usd": 0.1, "latency_ms": 1, "claims": [],
    });
    agree(&document, "Triage", &sample::<Triage>(triage));
    agree(
        &document,
        "Evidence",
        &sample::<threatstream_domain::Evidence>(json!({"field": "", "value": "", "rule_id": ""})),
    );
    agree(
        &document,
        "Original",
        &sample::<Original>(json!({"event_id": "", "timestamp": AT, "format": "", "raw": "", "truncated": true})),
    );
}

#[test]
fn an_alert_is_as_described() {
    let document = document();
    let alert = json!({
        "id": "ALT-0", "threat_id": "", "threat_ids": [], "title": "", "description": "", "severity": "LOW", "priority": "P4", "source_ips": [],
        "affected_systems": [], "mitre_attack_ids": [], "event_count": 1, "first_seen": AT, "last_seen": AT, "due_at": AT, "created_at": AT,
        "simulated": false, "status": "NEW", "notes": [], "timeline": [], "version": 0,
    });
    agree(&document, "Alert", &sample::<Alert>(alert));
    agree(
        &document,
        "Note",
        &sample::<Note>(json!({"analyst_id": "", "at": AT, "text": ""})),
    );
    agree(
        &document,
        "TimelineEntry",
        &sample::<TimelineEntry>(json!({"at": AT, "by": "", "action": ""})),
    );
}

#[test]
fn numbers_are_as_described() {
    let document = document();
    let stats = DashboardStats {
        processed: 0,
        blocked: 0,
        critical: 0,
        avg_detect_time: None,
        latency_history: Vec::new(),
        alerts_generated: 0,
        threats_detected: 0,
    };
    agree(&document, "DashboardStats", &serde_json::to_value(stats).unwrap());
    let point = TimelinePoint {
        timestamp: Timestamp::EPOCH,
        time: String::new(),
        risk: 0,
        risk_score: 0,
        threats_detected: 0,
    };
    agree(&document, "TimelinePoint", &serde_json::to_value(point).unwrap());
    agree(
        &document,
        "RiskIndex",
        &sample::<RiskIndex>(json!({"value": 0, "level": "NORMAL", "trend": "STABLE", "last_updated": AT})),
    );
    agree(
        &document,
        "ThreatStats",
        &serde_json::to_value(threatstream_backend::ThreatStats::default()).unwrap(),
    );
    let line = json!({
        "topic": "", "partition": 0, "next_offset": 0, "low": 0, "high": 0, "clean": 0, "matched": 0, "dead_lettered": 0, "duplicate": 0, "stored": 0,
        "counted": 0, "suppressed": 0, "skipped": 1,
    });
    let ledger = sample::<Ledger>(json!({
        "match": {"ingested": 0, "clean": 0, "matched": 0, "duplicate": 0, "dead_lettered": 0, "lost": 0},
        "judge": {"matches": 0, "stored": 0, "counted": 0, "suppressed": 0, "duplicate": 0},
        "pending": 0, "partitions": [line], "as_of": AT,
    }));
    agree(&document, "Ledger", &ledger);
    agree(&document, "MatchLedger", &ledger["match"]);
    agree(&document, "JudgeLedger", &ledger["judge"]);
    agree(&document, "LedgerPartition", &ledger["partitions"][0]);
}

#[test]
fn what_other_functions_answer_is_as_described() {
    let document = document();
    agree(
        &document,
        "SimulationState",
        &serde_json::to_value(SimulationState::idle()).unwrap(),
    );
    let execution = json!({
        "execution_id": "", "playbook_id": "", "playbook_name": "", "threat_id": "", "status": "PENDING", "started_at": AT, "current_step": 0, "steps": [],
        "dry_run": false, "version": 0,
    });
    agree(&document, "Execution", &sample::<Execution>(execution));
    agree(
        &document,
        "ExecutionStep",
        &sample::<ExecutionStep>(json!({"name": "", "action": "", "status": "RUNNING"})),
    );
    let entry =
        json!({"ip": "", "reason": "", "threat_id": "", "execution_id": "", "blocked_at": AT, "expires_at": AT});
    agree(&document, "BlockEntry", &sample::<BlockEntry>(entry));
}

#[test]
fn every_reference_leads_somewhere_and_every_route_can_fail() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
                Value::String(target) if name == "$ref" => found.push(target.clone()),
                value => references(value, found),
            }),
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for target in found {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
    }
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                operation["responses"]["default"]["content"]["application/problem+json"].is_object(),
                "{method} {path}"
            );
            assert!(
                operation["summary"].is_string() && operation["tags"].is_array(),
                "{method} {path}"
            );
            assert!(
                operations.insert(operation["operationId"].to_string()),
                "{method} {path} has the name of another"
            );
        }
    }
    assert_eq!(
        document["components"]["schemas"]["Severity"]["enum"],
        json!(["INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL"])
    );
}

#[test]
fn a_pushed_task_and_an_order_are_as_their_functions_take_them() {
    let document = document();
    let body = |path: &str| {
        let name =
            document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].clone();
        let name = name.as_str().unwrap_or_else(|| panic!("{path} takes no body"));
        document.pointer(name.trim_start_matches('#')).unwrap().clone()
    };
    let task = &document["paths"]["/tasks/respond"]["post"];
    assert_eq!(body("/tasks/respond")["required"], json!(["message"]));
    assert_eq!(body("/tasks/simulate"), body("/tasks/respond"));
    let message = &document["components"]["schemas"]["TaskMessage"];
    assert_eq!(message["required"], json!(["attributes", "data", "messageId"]));
    assert!(
        task["responses"]["204"].is_object() && task["responses"]["200"].is_null(),
        "{task}"
    );
    assert_eq!(body("/api/simulation/start")["required"], json!(["attack_vector"]));
    assert_eq!(
        document["paths"]["/api/simulation/start"]["post"]["requestBody"]["required"],
        true
    );
}

#[test]
fn a_match_that_completes_two_threats_is_counted_once() {
    let stored = &document()["components"]["schemas"]["JudgeLedger"]["properties"]["stored"];
    let text = stored["description"].as_str().unwrap();
    assert!(text.contains("at least one"), "{text}");
}

#[test]
fn every_operation_is_listed_once() {
    let routes = documented();
    let document = document();
    let operations: usize = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|item| item.as_object().unwrap().len())
        .sum();
    assert_eq!(routes.len(), operations);
    for (method, path) in routes {
        let item = &document["paths"][&path];
        assert!(item[method.as_str().to_lowercase()].is_object(), "{method} {path}");
    }
}

#[test]
fn the_event_log_is_as_described() {
    let document = document();
    let partition = threatstream_backend::PartitionInfo {
        partition: 0,
        leader: None,
        replicas: 3,
        in_sync: 2,
        low: 0,
        high: 1,
        committed: None,
    };
    agree(&document, "PartitionInfo", &serde_json::to_value(&partition).unwrap());
    let broker = threatstream_backend::Broker {
        id: 1,
        host: "a".to_owned(),
        port: 9092,
    };
    agree(&document, "Broker", &serde_json::to_value(&broker).unwrap());
    let topic = threatstream_backend::TopicInfo {
        name: "raw".to_owned(),
        partitions: vec![partition],
    };
    agree(&document, "TopicInfo", &serde_json::to_value(&topic).unwrap());
    let cluster = threatstream_backend::ClusterInfo {
        kind: "kafka",
        cluster_id: None,
        brokers: vec![broker],
        topics: vec![topic],
    };
    agree(&document, "ClusterInfo", &serde_json::to_value(&cluster).unwrap());
}
