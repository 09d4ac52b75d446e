//! A router on an embedded store, and what a test does with them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use threatstream_api::{Config, Dependencies, RuleSummary, RulesProbe, build};
use threatstream_backend::{
    AlertWrite, Backends, Checkpoint, Commit, LoggedRecord, NewThreat, PartitionId, StateChange,
};
use threatstream_domain::{
    AlertGroup, AuditRef, Clock, Original, Priority, Severity, Tally, Threat, ThreatType, Timestamp,
};
use threatstream_embedded::Options;
use threatstream_runtime::auth::{Tokens, hash_token};
use threatstream_runtime::{AuthMode, ServeConfig, Tickets, app};
use tower::ServiceExt;

pub(crate) struct World {
    pub(crate) app: Router,
    pub(crate) backends: Backends,
    pub(crate) clock: Clock,
    pub(crate) tickets: Tickets,
    _folder: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}: {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// The fields that a problem names.
    pub(crate) fn fields(&self) -> Vec<String> {
        assert_eq!(
            self.headers["content-type"],
            "application/problem+json",
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16());
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| error["field"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// What time it is in all tests.
pub(crate) fn now() -> Timestamp {
    "2026-11-22T09:00:00Z".parse().unwrap()
}

pub(crate) fn good_rules() -> RulesProbe {
    Arc::new(|| {
        Ok(RuleSummary {
            loaded: 25,
            set_aside: 0,
            rules_hash: "0".repeat(64),
            reload_failure: None,
        })
    })
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config::default(), good_rules(), |options| options)
    }

    /// With authentication; each of these, a name and a role, has its name as the token.
    pub(crate) fn with_tokens(known: &[(&str, &str)]) -> Self {
        let lines: Vec<String> = known
            .iter()
            .map(|(name, role)| format!("{name}:{role}:{}", hash_token(name)))
            .collect();
        let tokens = Tokens::parse(&lines.join("\n")).unwrap();
        Self::serving(Config::default(), good_rules(), AuthMode::Token(tokens), |options| {
            options
        })
    }

    pub(crate) fn with(config: Config, rules: RulesProbe, options: impl FnOnce(Options) -> Options) -> Self {
        Self::serving(config, rules, AuthMode::Open, options)
    }

    fn serving(config: Config, rules: RulesProbe, auth: AuthMode, options: impl FnOnce(Options) -> Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(now());
        let mut chosen = options(Options::new(folder.path()));
        chosen.clock = clock.clone();
        let backends = threatstream_embedded::open(chosen).unwrap().backends();
        let tickets = Tickets::with_key(b"a key of the tests");
        let dependencies = Dependencies {
            backends: backends.clone(),
            clock: clock.clone(),
            rules,
            tickets: tickets.clone(),
        };
        let serve = ServeConfig {
            rate_limit_requests: 0,
            auth,
            ..ServeConfig::local()
        };
        let app = app(build(config, dependencies), &serve);
        Self {
            app,
            backends,
            clock,
            tickets,
            _folder: folder,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
        self.send(
            Request::post(path)
                .header("content-type", kind)
                .body(body.into())
                .unwrap(),
        )
        .await
    }

    /// Every record of a topic so far, in the order of their appending.
    pub(crate) async fn records(&self, topic: &str) -> Vec<LoggedRecord> {
        let marks = self.backends.log.watermarks(topic).await.unwrap();
        let mut missing: u64 = marks.iter().map(|marks| marks.high).sum();
        let from: Vec<(u32, u64)> = (0..).zip(&marks).map(|(partition, _)| (partition, 0)).collect();
        let mut reader = self.backends.log.open(topic, &from).await.unwrap();
        let mut records = Vec::new();
        while missing > 0 {
            for partition in reader.next(1 << 24, Duration::from_secs(5)).await.unwrap() {
                missing -= partition.records.len() as u64;
                records.extend(partition.records);
            }
        }
        records.sort_by_key(|record| record.timestamp);
        records
    }

    /// The events in the log: id and raw text.
    pub(crate) async fn events(&self) -> Vec<(String, String)> {
        let read = |record: LoggedRecord| {
            let envelope: Value = serde_json::from_slice(&record.value).unwrap();
            assert_eq!(envelope["event_id"], record.key.as_str());
            (record.key, envelope["raw"].as_str().unwrap().to_owned())
        };
        self.records(&self.backends.topics.raw)
            .await
            .into_iter()
            .map(read)
            .collect()
    }

    /// Commits results to a partition, as the analyzer does.
    pub(crate) async fn commit(
        &self,
        topic: &str,
        partition: u32,
        next_offset: u64,
        threats: Vec<Threat>,
        alerts: Vec<AlertGroup>,
        lost: u64,
    ) {
        let id = PartitionId {
            topic: topic.to_owned(),
            partition,
        };
        let partitions = self.backends.log.partitions(topic).await.unwrap();
        let now = self.clock.now();
        let checkpoint: Checkpoint = self
            .backends
            .store
            .acquire(&id, partitions, "test", Duration::from_secs(60), now)
            .await
            .unwrap()
            .unwrap();
        let read = next_offset - checkpoint.next_offset;
        let tally = Tally {
            clean: read,
            ..Tally::default()
        };
        let originals = |threat: &Threat| {
            let raw = "Mar 27 <b>raw</b> \u{1b}[31m".to_owned();
            vec![Original {
                event_id: threat.event_id.clone(),
                timestamp: now,
                format: "syslog".to_owned(),
                raw,
                truncated: false,
            }]
        };
        let commit = Commit {
            owner_epoch: checkpoint.owner_epoch,
            expected_offset: checkpoint.next_offset,
            next_offset,
            batch_id: format!("{topic}/{partition}/{next_offset}/{}", checkpoint.owner_epoch),
            unpublished: Vec::new(),
            lease_until: checkpoint.lease_until,
            tally: if topic == self.backends.topics.raw {
                tally
            } else {
                Tally {
                    stored: read,
                    ..Tally::default()
                }
            },
            lost,
            minutes: Vec::new(),
            threats: threats
                .into_iter()
                .map(|threat| NewThreat {
                    originals: originals(&threat),
                    threat,
                })
                .collect(),
            alerts: alerts
                .into_iter()
                .map(|group| AlertWrite { group, case_version: 0 })
                .collect(),
            state: StateChange::default(),
            frames: Vec::new(),
            now,
            id,
        };
        self.backends.store.commit(commit).await.unwrap();
    }

    /// Stores threats and alerts that no event stands behind.
    pub(crate) async fn plant(&self, threats: Vec<Threat>, alerts: Vec<AlertGroup>) {
        self.commit(&self.backends.topics.matches.clone(), 0, 0, threats, alerts, 0)
            .await;
    }
}

pub(crate) fn threat(number: u32) -> Threat {
    Threat {
        id: format!("THR-{number:020x}"),
        event_id: format!("event-{number}"),
        timestamp: now(),
        severity: if number.is_multiple_of(2) {
            Severity::High
        } else {
            Severity::Low
        },
        threat_type: ThreatType::BruteForce,
        risk_score: 80,
        source_ip: Some("203.0.113.7".to_owned()),
        source_country: None,
        source_country_code: None,
        source_zone: Some(threatstream_domain::SourceZone::External),
        source_asn: None,
        coordinates: None,
        destination_ip: None,
        destination_port: Some(22),
        user: Some("root".to_owned()),
        host: Some("host".to_owned()),
        confidence: 0.9,
        description: "Many failed logins <script>alert(1)</script>".to_owned(),
        contextual_analysis: String::new(),
        contributing_signals: vec!["20 failures in a minute".to_owned()],
        recommended_actions: Vec::new(),
        mitre_attack_id: Some("T1110.001".to_owned()),
        mitre_attack_name: Some("Password Guessing".to_owned()),
        mitre_tactic: Some("credential-access".to_owned()),
        rule_ids: vec!["a".to_owned()],
        rules_hash: "0".repeat(64),
        event_count: 20,
        evidence: vec![threatstream_domain::Evidence {
            field: "message".to_owned(),
            value: "Failed".to_owned(),
            rule_id: "a".to_owned(),
        }],
        auto_blocked: false,
        simulated: false,
        processing_time_ms: 1.5,
        analyzed_at: Timestamp::from_millis(now().as_millis() + i64::from(number)),
        audit_ref: AuditRef::RuleEngine,
        triage: None,
    }
}

pub(crate) fn alert(number: u32) -> AlertGroup {
    let at = Timestamp::from_millis(now().as_millis() + i64::from(number));
    AlertGroup {
        id: format!("ALT-{number:020x}"),
        threat_id: threat(number).id,
        threat_ids: vec![threat(number).id],
        title: "Brute force from 203.0.113.7".to_owned(),
        description: "Many failed logins".to_owned(),
        severity: Severity::High,
        priority: Priority::P2,
        source_ips: vec!["203.0.113.7".to_owned()],
        affected_systems: vec!["host".to_owned()],
        mitre_attack_ids: vec!["T1110".to_owned()],
        event_count: 20,
        first_seen: at,
        last_seen: at,
        due_at: at.plus(Priority::P2.response_time()),
        created_at: at,
        simulated: false,
        previous_alert: None,
    }
}
