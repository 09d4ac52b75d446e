//! What match finds and judge weighs: the record of `security.matches`.

mod window;

use serde::{Deserialize, Serialize};
use threatstream_domain::{Original, Severity, SourceZone, ThreatType, Timestamp, derived_id};

pub(crate) use window::exact;
pub use window::{Counts, Feed, Measure, Window};

/// A rule that matched an event, with all that judge needs: it works without the rule set, so that match and judge may run
/// different rules during a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// The event and its content, as 32 hexadecimal digits: what duplicates are known by.
    pub fingerprint: String,
    /// The event as judge needs it.
    pub event: Observed,
    /// The Sigma rule that matched, or the correlation that fired.
    pub rule_id: String,
    /// What the rule, or the correlation it feeds, says when it comes to a threat.
    pub verdict: Verdict,
    /// The fields that made the rule match, and their values.
    pub evidence: Vec<(String, String)>,
    /// For a correlation: the window that the event goes into. `None`: the match is a threat by itself.
    pub window: Option<Window>,
    /// Whom it is about: the group-by values of a correlation, else the source entity.
    pub entity: String,
    /// The mark of a drill, verified.
    pub simulation_id: Option<String>,
    /// The rule set that matched.
    pub rules_hash: String,
}

/// An event, as far as a threat shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Its id.
    pub event_id: String,
    /// When it happened; never after it arrived.
    pub timestamp: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The decoder that knew it.
    pub format: String,
    /// Where it came from.
    pub source_ip: Option<String>,
    /// Where that lies.
    pub source_zone: Option<SourceZone>,
    /// What it was aimed at.
    pub destination_ip: Option<String>,
    /// The port it was aimed at.
    pub destination_port: Option<u16>,
    /// The account.
    pub user: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The line, cut to at most [`ORIGINAL_BYTES`].
    pub raw: String,
    /// True when it was cut.
    pub truncated: bool,
}

/// An original is kept up to this many bytes.
pub const ORIGINAL_BYTES: usize = 2048;

impl Observed {
    /// As a threat keeps it.
    #[must_use]
    pub fn original(&self) -> Original {
        Original {
            event_id: self.event_id.clone(),
            timestamp: self.timestamp,
            format: self.format.clone(),
            raw: self.raw.clone(),
            truncated: self.truncated,
        }
    }
}

/// What a rule or a correlation says of what it finds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rule's or the correlation's own id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Severity,
    /// What kind of threat it speaks of.
    pub threat_type: ThreatType,
    /// ATT&CK techniques, the first is the threat's.
    pub techniques: Vec<String>,
    /// What to do.
    pub recommended_actions: Vec<String>,
    /// How much its authors trust it, 0 to 1, from its status.
    pub confidence: f64,
}

impl Match {
    /// Where the match goes in the topic: what belongs to one window, one suppression counter or one alert has one key, and
    /// so one partition and one writer.
    #[must_use]
    pub fn key(&self) -> String {
        let drill = if self.simulation_id.is_some() { "drill" } else { "real" };
        match &self.window {
            Some(window) => {
                let mut parts = vec!["window", drill, self.verdict.id.as_str()];
                parts.extend(window.group.iter().map(|(_, value)| value.as_str()));
                derived_id("WIN", &parts)
            }
            None => derived_id("ENT", &[drill, self.verdict.threat_type.as_str(), &self.entity]),
        }
    }

    /// What duplicates are known by: the event, its content, and the rule.
    #[must_use]
    pub fn duplicate_key(&self) -> u128 {
        digest(&[&self.fingerprint, &self.rule_id, &self.verdict.id])
    }
}

/// 128 bits over some texts.
pub(crate) fn digest(parts: &[&str]) -> u128 {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    u128::from_le_bytes(bytes)
}
