//! Things to store.

use threatstream_domain::{
    AlertGroup, AuditRef, BlockEntry, Evidence, Execution, ExecutionStatus, ExecutionStep, Frame, FrameKind,
    MinuteStats, Original, Priority, Severity, SourceZone, StepStatus, Tally, Threat, ThreatType, Timestamp, Triage,
};

use crate::{AlertWrite, Checkpoint, Commit, NewThreat, PartitionId, Record, StateChange, ThreatChange};

/// A moment that every sample starts from: whole milliseconds, as JSON keeps them.
#[must_use]
pub fn noon() -> Timestamp {
    Timestamp::from_secs(1_795_348_800)
}

/// A record.
#[must_use]
pub fn record(key: &str, value: &str) -> Record {
    Record {
        key: key.to_owned(),
        value: value.to_owned().into(),
        headers: Vec::new(),
    }
}

/// A threat of severity HIGH and type BRUTE_FORCE, analysed at noon.
#[must_use]
pub fn threat(id: &str) -> Threat {
    Threat {
        id: id.to_owned(),
        event_id: format!("event-of-{id}"),
        timestamp: noon(),
        severity: Severity::High,
        threat_type: ThreatType::BruteForce,
        risk_score: 80,
        source_ip: Some("203.0.113.7".to_owned()),
        source_country: None,
        source_country_code: None,
        source_zone: Some(SourceZone::External),
        source_asn: None,
        coordinates: Some([48.2, 16.4]),
        destination_ip: Some("10.0.0.5".to_owned()),
        destination_port: Some(22),
        user: Some("root".to_owned()),
        host: Some("gate".to_owned()),
        confidence: 0.9,
        description: "Many failed logins".to_owned(),
        contextual_analysis: String::new(),
        contributing_signals: vec!["12 failures in a minute".to_owned()],
        recommended_actions: vec!["Block the source".to_owned()],
        mitre_attack_id: Some("T1110".to_owned()),
        mitre_attack_name: Some("Brute Force".to_owned()),
        mitre_tactic: Some("credential-access".to_owned()),
        rule_ids: vec!["rule-1".to_owned()],
        rules_hash: "hash".to_owned(),
        event_count: 12,
        evidence: vec![Evidence {
            field: "message".to_owned(),
            value: "<b>\u{1b}[31mFailed password".to_owned(),
            rule_id: "rule-1".to_owned(),
        }],
        auto_blocked: false,
        simulated: false,
        processing_time_ms: 1.5,
        analyzed_at: noon(),
        audit_ref: AuditRef::RuleEngine,
        triage: None,
    }
}

/// A threat with one original.
#[must_use]
pub fn new_threat(threat: Threat) -> NewThreat {
    NewThreat {
        originals: vec![original(&threat.event_id)],
        threat,
    }
}

/// What a model makes of a threat.
#[must_use]
pub fn triaged() -> ThreatChange {
    ThreatChange::Triaged {
        severity: Severity::Critical,
        triage: Triage {
            verdict: "malicious".to_owned(),
            model: "model".to_owned(),
            prompt_version: "1".to_owned(),
            prompt_tokens: 10,
            output_tokens: 5,
            cost_usd: 0.001,
            latency_ms: 400,
            claims: Vec::new(),
        },
    }
}

/// An original event.
#[must_use]
pub fn original(event_id: &str) -> Original {
    Original {
        event_id: event_id.to_owned(),
        timestamp: noon(),
        format: "sshd".to_owned(),
        raw: "Failed password for root from 203.0.113.7 port 22 ssh2".to_owned(),
        truncated: false,
    }
}

/// The analyzer's part of an alert, created at noon and due an hour later.
#[must_use]
pub fn alert(id: &str) -> AlertGroup {
    AlertGroup {
        id: id.to_owned(),
        threat_id: "THR-1".to_owned(),
        threat_ids: vec!["THR-1".to_owned()],
        title: "Brute force".to_owned(),
        description: "Many failed logins".to_owned(),
        severity: Severity::High,
        priority: Priority::P2,
        source_ips: vec!["203.0.113.7".to_owned()],
        affected_systems: vec!["gate".to_owned()],
        mitre_attack_ids: vec!["T1110".to_owned()],
        event_count: 12,
        first_seen: noon(),
        last_seen: noon(),
        due_at: noon().plus(Priority::P2.response_time()),
        created_at: noon(),
        simulated: false,
        previous_alert: None,
    }
}

/// A frame with this data.
///
/// # Panics
/// Never: a number serialises.
#[must_use]
pub fn frame(data: u64) -> Frame {
    Frame::new(FrameKind::NewThreat, Some(Severity::High), &data).expect("a number serialises")
}

/// An execution of one step.
#[must_use]
pub fn execution(id: &str) -> Execution {
    Execution {
        execution_id: id.to_owned(),
        playbook_id: "pb-brute-001".to_owned(),
        playbook_name: "Brute force".to_owned(),
        threat_id: "THR-1".to_owned(),
        status: ExecutionStatus::Running,
        started_at: noon(),
        completed_at: None,
        current_step: 0,
        steps: vec![ExecutionStep {
            name: "Block".to_owned(),
            action: "block_source".to_owned(),
            status: StepStatus::Pending,
            started_at: None,
            completed_at: None,
            detail: None,
        }],
        dry_run: false,
        override_params: serde_json::Map::new(),
        version: 0,
    }
}

/// A block of an address by an execution, from noon, for so many seconds.
#[must_use]
pub fn block(ip: &str, execution_id: &str, seconds: u64) -> BlockEntry {
    BlockEntry {
        ip: ip.to_owned(),
        reason: "brute force".to_owned(),
        threat_id: "THR-1".to_owned(),
        execution_id: execution_id.to_owned(),
        blocked_at: noon(),
        expires_at: noon().plus(std::time::Duration::from_secs(seconds)),
    }
}

/// What one minute held.
#[must_use]
pub fn minute(minute: i64, processed: u64) -> MinuteStats {
    MinuteStats {
        minute,
        processed,
        threats: [1, 2, 3, 4, 5],
        simulated_threats: 6,
        alerts: 7,
        detect_ms: 1.5,
        detected: 8,
    }
}

/// A commit that moves a checkpoint on by some clean records, with nothing else.
#[must_use]
pub fn commit(id: &PartitionId, held: &Checkpoint, batch_id: &str, records: u64) -> Commit {
    Commit {
        id: id.clone(),
        owner_epoch: held.owner_epoch,
        expected_offset: held.next_offset,
        next_offset: held.next_offset + records,
        batch_id: batch_id.to_owned(),
        unpublished: Vec::new(),
        tally: Tally {
            clean: records,
            ..Tally::default()
        },
        lost: 0,
        minutes: Vec::new(),
        threats: Vec::new(),
        alerts: Vec::new(),
        state: StateChange::default(),
        frames: Vec::new(),
        lease_until: held.lease_until,
        now: noon(),
    }
}

/// An alert to write, judged on a version of the analysts' part.
#[must_use]
pub fn alert_write(group: AlertGroup, case_version: u64) -> AlertWrite {
    AlertWrite { group, case_version }
}
