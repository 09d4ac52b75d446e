//! A threat: what a rule, or a sequence of events, says has happened.

use serde::{Deserialize, Serialize};

use crate::{AuditRef, Severity, SourceZone, ThreatType, Timestamp};

/// A field of an event that made a rule match, with its value (at most 1 KiB).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The field as the rule names it.
    pub field: String,
    /// Its value in the event.
    pub value: String,
    /// The Sigma rule that looked at it.
    pub rule_id: String,
}

/// A claim of the model and whether the event bears it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// What the model says.
    pub text: String,
    /// The event field it cites.
    pub field: String,
    /// The value it cites.
    pub value: String,
    /// True when the event has this value in this field.
    pub verified: bool,
}

/// What the model made of a threat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triage {
    /// Its verdict in a word.
    pub verdict: String,
    /// The model that gave it.
    pub model: String,
    /// The prompt's version.
    pub prompt_version: String,
    /// Tokens in.
    pub prompt_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// What the call cost, in US dollars.
    pub cost_usd: f64,
    /// How long the call took, in milliseconds.
    pub latency_ms: u64,
    /// What it claims.
    pub claims: Vec<Claim>,
}

/// A threat as the API, the socket and the topics show it.
///
/// Its `id` follows from the rule and the event (or the group and the window) that made it, so that the same events give
/// the same threats however often they are analysed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threat {
    /// `THR-` and 20 hexadecimal digits.
    pub id: String,
    /// The event that completed it.
    pub event_id: String,
    /// When that event happened, by its own time.
    pub timestamp: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// What kind it is.
    pub threat_type: ThreatType,
    /// 0 to 100.
    pub risk_score: u8,
    /// Where it came from.
    pub source_ip: Option<String>,
    /// The source's country by name, if a database was given.
    pub source_country: Option<String>,
    /// Its ISO 3166 code.
    pub source_country_code: Option<String>,
    /// Where the source lies, seen from the defended network.
    pub source_zone: Option<SourceZone>,
    /// The source's autonomous system, if a database was given.
    pub source_asn: Option<String>,
    /// Latitude and longitude, if a database was given.
    pub coordinates: Option<[f64; 2]>,
    /// What it was aimed at.
    pub destination_ip: Option<String>,
    /// The port it was aimed at.
    pub destination_port: Option<u16>,
    /// The account it was aimed at, or used.
    pub user: Option<String>,
    /// The host that reported it.
    pub host: Option<String>,
    /// 0 to 1.
    pub confidence: f64,
    /// A sentence on what happened.
    pub description: String,
    /// What the context adds.
    pub contextual_analysis: String,
    /// What speaks for it, a line each.
    pub contributing_signals: Vec<String>,
    /// What to do, a line each.
    pub recommended_actions: Vec<String>,
    /// The ATT&CK technique, as `T1110`.
    pub mitre_attack_id: Option<String>,
    /// Its name.
    pub mitre_attack_name: Option<String>,
    /// Its tactic.
    pub mitre_tactic: Option<String>,
    /// The Sigma rules that made it.
    pub rule_ids: Vec<String>,
    /// The rule set that held them.
    pub rules_hash: String,
    /// How many events it stands for.
    pub event_count: u64,
    /// The fields that made the rules match.
    pub evidence: Vec<Evidence>,
    /// A playbook has blocked the source.
    pub auto_blocked: bool,
    /// Every event behind it was a drill's.
    pub simulated: bool,
    /// From the arrival of the event that completed it to the verdict, in milliseconds.
    pub processing_time_ms: f64,
    /// When the verdict was stored.
    pub analyzed_at: Timestamp,
    /// Whose verdict it is.
    pub audit_ref: AuditRef,
    /// The model's part, once it is there.
    pub triage: Option<Triage>,
}

/// One of the originals that made a threat, truncated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// The event's id.
    pub event_id: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// The decoder that knew it.
    pub format: String,
    /// The line, cut to at most 4 KiB.
    pub raw: String,
    /// True when it was cut.
    pub truncated: bool,
}
