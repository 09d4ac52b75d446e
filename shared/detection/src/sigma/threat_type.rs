//! What kind of threat a rule speaks of when it does not say so.

use threatstream_domain::ThreatType;

use crate::LogSource;

/// By the technique first, because it says most; then by where the event was seen; then by the tactic.
const TECHNIQUES: &[(&str, ThreatType)] = &[
    ("T1110", ThreatType::BruteForce),
    ("T1486", ThreatType::Ransomware),
    ("T1490", ThreatType::Ransomware),
    ("T1498", ThreatType::Ddos),
    ("T1499", ThreatType::Ddos),
    ("T1046", ThreatType::PortScan),
    ("T1595", ThreatType::PortScan),
    ("T1566", ThreatType::Phishing),
    ("T1598", ThreatType::Phishing),
    ("T1190", ThreatType::WebAttack),
    ("T1505.003", ThreatType::WebAttack),
    ("T1041", ThreatType::DataExfiltration),
    ("T1048", ThreatType::DataExfiltration),
    ("T1567", ThreatType::DataExfiltration),
    ("T1537", ThreatType::DataExfiltration),
];

const CLOUDS: &[&str] = &[
    "aws",
    "gcp",
    "google_cloud",
    "azure",
    "okta",
    "m365",
    "onelogin",
    "google_workspace",
    "github",
    "bitbucket",
    "kubernetes",
    "cloudflare",
    "auth0",
    "duo",
];

/// The first that appears decides, from what is most telling to what is least.
const TACTICS: &[(&str, ThreatType)] = &[
    ("exfiltration", ThreatType::DataExfiltration),
    ("impact", ThreatType::Malware),
    ("command-and-control", ThreatType::CommandAndControl),
    ("lateral-movement", ThreatType::LateralMovement),
    ("privilege-escalation", ThreatType::PrivilegeEscalation),
    ("persistence", ThreatType::Persistence),
    ("defense-evasion", ThreatType::DefenseEvasion),
    ("stealth", ThreatType::DefenseEvasion),
    ("defense-impairment", ThreatType::DefenseEvasion),
    ("credential-access", ThreatType::Authentication),
];

pub(super) fn derive(techniques: &[String], tactics: &[String], logsource: &LogSource) -> ThreatType {
    let of_technique = |wanted: &str| {
        techniques.iter().any(|own| {
            own.strip_prefix(wanted)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    if let Some((_, threat)) = TECHNIQUES.iter().find(|(technique, _)| of_technique(technique)) {
        return *threat;
    }
    match logsource.category.as_deref() {
        Some("webserver") => return ThreatType::WebAttack,
        Some("antivirus") => return ThreatType::Malware,
        _ => {}
    }
    if logsource
        .product
        .as_deref()
        .is_some_and(|product| CLOUDS.contains(&product))
    {
        return ThreatType::CloudMisuse;
    }
    let of_tactic = |wanted: &str| tactics.iter().any(|own| own == wanted);
    TACTICS
        .iter()
        .find(|(tactic, _)| of_tactic(tactic))
        .map_or(ThreatType::SuspiciousActivity, |(_, threat)| *threat)
}
