//! Threats, and what made them.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::*;

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
