//! The shapes of what the domain's types serialise to; the domain itself knows nothing of HTTP. Tests hold them to real samples.

#![expect(dead_code, reason = "these types are described, never made")]

mod names;

use std::collections::BTreeMap;

use utoipa::{IntoParams, ToSchema};

pub(crate) use names::*;

/// Which version of the alert the change is meant for.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfMatch {
    /// The alert's `version`, or its `ETag` (`"3"` and `W/"3"` say the same): the change is refused (412) when somebody was faster.
    #[param(rename = "If-Match", example = "\"3\"")]
    if_match: Option<String>,
}

/// An error, as RFC 9457 has it.
#[derive(ToSchema)]
pub(crate) struct Problem {
    /// What kind it is; `about:blank` says no more than the status does.
    r#type: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened, for people.
    detail: String,
    /// What is wrong with which field.
    errors: Option<Vec<FieldError>>,
}

/// What is wrong with a field.
#[derive(ToSchema)]
pub(crate) struct FieldError {
    /// The field of the body, the parameter or the header.
    field: String,
    /// What is wrong with it, and what is allowed.
    message: String,
}

/// A problem with counts: nothing could be taken.
#[derive(ToSchema)]
pub(crate) struct NothingAccepted {
    /// What kind it is.
    r#type: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened, for people.
    detail: String,
    /// What is wrong with which field; of several events, the field is preceded by the line.
    errors: Option<Vec<FieldError>>,
    /// 0
    accepted: u64,
    /// Events that were turned away.
    rejected: u64,
    /// How many more errors there were.
    errors_omitted: Option<u64>,
}

/// One of the platform's own events. Other JSON is taken too, and read by the decoder that knows it.
#[derive(ToSchema)]
pub(crate) struct NativeEvent {
    /// The sender's id; an event is a duplicate when id and content were seen before.
    event_id: Option<String>,
    /// When it happened; the time of arrival counts without one.
    timestamp: Option<Time>,
    /// What the sender calls it.
    #[schema(example = "brute_force")]
    event_type: Option<String>,
    #[schema(example = "203.0.113.7")]
    source_ip: Option<String>,
    #[schema(example = "10.0.0.5")]
    destination_ip: Option<String>,
    #[schema(example = 22)]
    destination_port: Option<u16>,
    #[schema(example = "TCP")]
    protocol: Option<String>,
    /// What to judge it by.
    #[schema(value_type = Option<Object>, example = json!({"attempts": 50, "username": "root"}))]
    payload: Option<()>,
    /// Whatever the sender adds; it never decides a severity.
    #[schema(value_type = Option<Object>)]
    metadata: Option<()>,
}

/// A field that made a rule match.
#[derive(ToSchema)]
pub(crate) struct Evidence {
    /// As the rule names it.
    field: String,
    /// Its value in the event, cut to 1 KiB.
    value: String,
    /// The Sigma rule that looked at it.
    rule_id: String,
}

/// A claim of the model, and whether the event bears it out.
#[derive(ToSchema)]
pub(crate) struct Claim {
    text: String,
    field: String,
    value: String,
    verified: bool,
}

/// What the model made of a threat.
#[derive(ToSchema)]
pub(crate) struct Triage {
    verdict: String,
    model: String,
    prompt_version: String,
    prompt_tokens: u64,
    output_tokens: u64,
    cost_usd: f64,
    latency_ms: u64,
    claims: Vec<Claim>,
}

/// What a rule, or a sequence of events, says has happened.
#[derive(ToSchema)]
pub(crate) struct Threat {
    /// `THR-` and 20 hexadecimal digits; the same events give the same id.
    id: String,
    /// The event that completed it.
    event_id: String,
    /// When that event happened, by its own time.
    timestamp: Time,
    severity: Severity,
    threat_type: ThreatType,
    #[schema(maximum = 100)]
    risk_score: u8,
    source_ip: Option<String>,
    source_country: Option<String>,
    source_country_code: Option<String>,
    source_zone: Option<SourceZone>,
    source_asn: Option<String>,
    /// Latitude and longitude.
    #[schema(min_items = 2, max_items = 2)]
    coordinates: Option<Vec<f64>>,
    destination_ip: Option<String>,
    destination_port: Option<u16>,
    /// The account it was aimed at, or used.
    user: Option<String>,
    /// The host that reported it.
    host: Option<String>,
    #[schema(minimum = 0, maximum = 1)]
    confidence: f64,
    description: String,
    contextual_analysis: String,
    contributing_signals: Vec<String>,
    recommended_actions: Vec<String>,
    /// The ATT&CK technique.
    #[schema(example = "T1110")]
    mitre_attack_id: Option<String>,
    mitre_attack_name: Option<String>,
    mitre_tactic: Option<String>,
    /// The Sigma rules that made it.
    rule_ids: Vec<String>,
    /// The rule set that held them.
    rules_hash: String,
    /// How many events it stands for.
    event_count: u64,
    evidence: Vec<Evidence>,
    /// A playbook has blocked the source.
    auto_blocked: bool,
    /// Every event behind it was a drill's.
    simulated: bool,
    /// From the arrival of the event that completed it to the verdict, in milliseconds.
    processing_time_ms: f64,
    /// When the verdict was stored.
    analyzed_at: Time,
    /// Whose verdict it is.
    audit_ref: AuditRef,
    triage: Option<Triage>,
}

/// One of the originals that made a threat.
#[derive(ToSchema)]
pub(crate) struct Original {
    event_id: String,
    timestamp: Time,
    /// The decoder that knew it.
    format: String,
    /// The line, cut to 4 KiB.
    raw: String,
    /// True when it was cut.
    truncated: bool,
}

/// How many threats there are, drills' included.
#[derive(ToSchema)]
pub(crate) struct ThreatStats {
    total_threats: u64,
    severity_distribution: BTreeMap<String, u64>,
    type_distribution: BTreeMap<String, u64>,
}

/// A remark of an analyst.
#[derive(ToSchema)]
pub(crate) struct Note {
    analyst_id: String,
    at: Time,
    /// At most 4 KiB.
    text: String,
}

/// A step in an alert's life.
#[derive(ToSchema)]
pub(crate) struct TimelineEntry {
    at: Time,
    by: String,
    #[schema(example = "acknowledged")]
    action: String,
    /// How the remark begins; all of it is among the notes.
    #[schema(max_length = 200)]
    notes: Option<String>,
}

/// Threats that belong together, and what analysts do about them.
#[derive(ToSchema)]
pub(crate) struct Alert {
    /// `ALT-` and 20 hexadecimal digits.
    id: String,
    /// The threat that opened it.
    threat_id: String,
    /// The threats in it, oldest first; the last 100.
    threat_ids: Vec<String>,
    title: String,
    description: String,
    /// The worst of its threats'.
    severity: Severity,
    /// How soon somebody must look.
    priority: Priority,
    source_ips: Vec<String>,
    affected_systems: Vec<String>,
    mitre_attack_ids: Vec<String>,
    /// Events behind it, those of suppressed threats included.
    event_count: u64,
    first_seen: Time,
    last_seen: Time,
    /// When somebody must have looked.
    due_at: Time,
    created_at: Time,
    /// Every event behind it was a drill's.
    simulated: bool,
    /// The closed alert that this one follows.
    previous_alert: Option<String>,
    status: AlertStatus,
    assigned_to: Option<String>,
    acknowledged_at: Option<Time>,
    acknowledged_by: Option<String>,
    resolved_at: Option<Time>,
    resolved_by: Option<String>,
    /// `RESOLVED` or `FALSE_POSITIVE`, once closed.
    resolution: Option<AlertStatus>,
    /// Oldest first. With the timeline at most 256 KiB of text; once that is full, steps that bring a note are refused (409).
    #[schema(max_items = 500)]
    notes: Vec<Note>,
    /// Oldest first.
    #[schema(max_items = 500)]
    timeline: Vec<TimelineEntry>,
    /// Changes by analysts so far.
    version: u64,
}

/// The counters of the dashboard; null and empty where nothing was measured.
#[derive(ToSchema)]
pub(crate) struct DashboardStats {
    /// Events analysed.
    processed: u64,
    /// Addresses on the blocklist now.
    blocked: u64,
    /// Critical threats.
    critical: u64,
    /// Mean time from arrival to verdict over the last hour, in milliseconds.
    avg_detect_time: Option<f64>,
    /// The same for each minute of the last hour that had a threat, oldest first.
    latency_history: Vec<f64>,
    alerts_generated: u64,
    threats_detected: u64,
}

/// The risk now.
#[derive(ToSchema)]
pub(crate) struct RiskIndex {
    #[schema(maximum = 100)]
    value: u8,
    level: RiskLevel,
    /// Against five minutes ago.
    trend: RiskTrend,
    last_updated: Time,
}

/// A point of the risk timeline.
#[derive(ToSchema)]
pub(crate) struct TimelinePoint {
    /// The end of the minute, or now.
    timestamp: Time,
    /// `HH:MM:SS` in UTC.
    time: String,
    #[schema(maximum = 100)]
    risk: u8,
    /// The same as `risk`.
    #[schema(maximum = 100)]
    risk_score: u8,
    /// Threats of that minute, without those of drills.
    threats_detected: u64,
}

/// Where every event went: `ingested = clean + matched + duplicate + dead_lettered`.
#[derive(ToSchema)]
pub(crate) struct MatchLedger {
    ingested: u64,
    clean: u64,
    matched: u64,
    duplicate: u64,
    dead_lettered: u64,
    /// Gone from the log before it was read.
    lost: u64,
}

/// Where every match went: `matches = stored + counted + suppressed + duplicate`.
#[derive(ToSchema)]
pub(crate) struct JudgeLedger {
    matches: u64,
    /// Completed at least one threat; a match can complete two.
    stored: u64,
    /// Went into a window without completing it.
    counted: u64,
    /// One too many of its kind in a minute; counts in the alert.
    suppressed: u64,
    duplicate: u64,
}

/// One partition's line in the ledger.
#[derive(ToSchema)]
pub(crate) struct LedgerPartition {
    topic: String,
    partition: u32,
    /// The first record not yet analysed.
    next_offset: u64,
    /// Where the log begins.
    low: u64,
    /// Where the log ends.
    high: u64,
    clean: u64,
    matched: u64,
    dead_lettered: u64,
    duplicate: u64,
    stored: u64,
    counted: u64,
    suppressed: u64,
}

/// Where every event went.
#[derive(ToSchema)]
pub(crate) struct Ledger {
    r#match: MatchLedger,
    judge: JudgeLedger,
    /// Records of both topics beyond the checkpoints.
    pending: u64,
    partitions: Vec<LedgerPartition>,
    as_of: Time,
}

/// A server of the event log.
#[derive(ToSchema)]
pub(crate) struct Broker {
    id: i32,
    host: String,
    port: u16,
}

/// How a partition of the event log fares.
#[derive(ToSchema)]
pub(crate) struct PartitionInfo {
    partition: u32,
    /// The broker that leads it; null: none does, and nothing can be appended.
    leader: Option<i32>,
    /// How many brokers keep it.
    replicas: u32,
    /// How many of those are up to date.
    in_sync: u32,
    /// The first offset still there.
    low: u64,
    /// The offset that the next record will get.
    high: u64,
    /// How far the consumer group says it is; null: it has not said.
    committed: Option<u64>,
}

/// A topic of the event log.
#[derive(ToSchema)]
pub(crate) struct TopicInfo {
    name: String,
    partitions: Vec<PartitionInfo>,
}

/// What the event log says of itself.
#[derive(ToSchema)]
pub(crate) struct ClusterInfo {
    /// `embedded` or `kafka`.
    #[schema(example = "kafka")]
    kind: String,
    /// The cluster's id, where it has one.
    cluster_id: Option<String>,
    /// Its servers; none where the log is a file.
    brokers: Vec<Broker>,
    topics: Vec<TopicInfo>,
}

/// A simulation that runs, or ran last.
#[derive(ToSchema)]
pub(crate) struct SimulationState {
    status: SimulationStatus,
    #[schema(example = "BRUTE_FORCE")]
    attack_vector: Option<String>,
    simulation_id: Option<String>,
    intensity: Option<Intensity>,
    target_eps: Option<u32>,
    started_at: Option<Time>,
    duration_seconds: Option<u32>,
    elapsed_seconds: u32,
    events_generated: u64,
    /// Events a second over the last second.
    current_eps: f64,
}

/// A step of an execution.
#[derive(ToSchema)]
pub(crate) struct ExecutionStep {
    name: String,
    /// What it does: `block_source`, `webhook`.
    action: String,
    status: StepStatus,
    started_at: Option<Time>,
    completed_at: Option<Time>,
    /// What came of it, or why it failed.
    detail: Option<String>,
}

/// A playbook at work on a threat.
#[derive(ToSchema)]
pub(crate) struct Execution {
    execution_id: String,
    playbook_id: String,
    playbook_name: String,
    threat_id: String,
    status: ExecutionStatus,
    started_at: Time,
    completed_at: Option<Time>,
    /// The step at work or next, from 0.
    current_step: u64,
    steps: Vec<ExecutionStep>,
    /// Nothing outside is touched.
    dry_run: bool,
    #[schema(value_type = Object)]
    override_params: (),
    /// Counts saves.
    version: u64,
}

/// An address that firewalls should block.
#[derive(ToSchema)]
pub(crate) struct BlockEntry {
    ip: String,
    reason: String,
    threat_id: String,
    execution_id: String,
    blocked_at: Time,
    expires_at: Time,
}
