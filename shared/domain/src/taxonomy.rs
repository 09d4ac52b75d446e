//! What threats are called and how bad they are.

use crate::closed_set::closed_set;

closed_set! {
    /// How bad a threat is, from the least to the worst.
    Severity, "severity" {
        /// Worth knowing.
        Info = "INFO",
        /// Unusual.
        Low = "LOW",
        /// Suspicious.
        Medium = "MEDIUM",
        /// Most likely an attack.
        High = "HIGH",
        /// An attack that succeeds or is about to.
        Critical = "CRITICAL",
    }
}

impl Severity {
    /// One step milder; [`Severity::Info`] stays.
    #[must_use]
    pub fn lowered(self) -> Self {
        match self {
            Self::Critical => Self::High,
            Self::High => Self::Medium,
            Self::Medium => Self::Low,
            Self::Low | Self::Info => Self::Info,
        }
    }

    /// One step worse; [`Severity::Critical`] stays.
    #[must_use]
    pub fn raised(self) -> Self {
        match self {
            Self::Info => Self::Low,
            Self::Low => Self::Medium,
            Self::Medium => Self::High,
            Self::High | Self::Critical => Self::Critical,
        }
    }
}

closed_set! {
    /// What kind of threat it is.
    ThreatType, "threat_type" {
        /// Guessing of credentials.
        BruteForce = "BRUTE_FORCE",
        /// SQL in a request.
        SqlInjection = "SQL_INJECTION",
        /// A flood.
        Ddos = "DDOS",
        /// Files encrypted for ransom.
        Ransomware = "RANSOMWARE",
        /// Malicious code.
        Malware = "MALWARE",
        /// Deceptive mail or pages.
        Phishing = "PHISHING",
        /// Probing for services.
        PortScan = "PORT_SCAN",
        /// Data leaving.
        DataExfiltration = "DATA_EXFILTRATION",
        /// Suspicious sign-in.
        Authentication = "AUTHENTICATION",
        /// Unusual traffic.
        NetworkAnomaly = "NETWORK_ANOMALY",
        /// None of the others.
        SuspiciousActivity = "SUSPICIOUS_ACTIVITY",
        /// More rights than granted.
        PrivilegeEscalation = "PRIVILEGE_ESCALATION",
        /// A way to come back.
        Persistence = "PERSISTENCE",
        /// Blinding of the defenders.
        DefenseEvasion = "DEFENSE_EVASION",
        /// From one host to the next.
        LateralMovement = "LATERAL_MOVEMENT",
        /// Talking to the attacker.
        CommandAndControl = "COMMAND_AND_CONTROL",
        /// Abuse of a cloud account.
        CloudMisuse = "CLOUD_MISUSE",
        /// Attack on a web application.
        WebAttack = "WEB_ATTACK",
        /// Against the house's rules.
        PolicyViolation = "POLICY_VIOLATION",
    }
}

impl ThreatType {
    /// As people write it: `SQL injection`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::BruteForce => "Brute force",
            Self::SqlInjection => "SQL injection",
            Self::Ddos => "DDoS",
            Self::Ransomware => "Ransomware",
            Self::Malware => "Malware",
            Self::Phishing => "Phishing",
            Self::PortScan => "Port scan",
            Self::DataExfiltration => "Data exfiltration",
            Self::Authentication => "Suspicious sign-in",
            Self::NetworkAnomaly => "Network anomaly",
            Self::SuspiciousActivity => "Suspicious activity",
            Self::PrivilegeEscalation => "Privilege escalation",
            Self::Persistence => "Persistence",
            Self::DefenseEvasion => "Defense evasion",
            Self::LateralMovement => "Lateral movement",
            Self::CommandAndControl => "Command and control",
            Self::CloudMisuse => "Cloud misuse",
            Self::WebAttack => "Web attack",
            Self::PolicyViolation => "Policy violation",
        }
    }
}

closed_set! {
    /// Where an address lies, seen from the defended network.
    SourceZone, "source_zone" {
        /// Known to be hostile.
        Hostile = "HOSTILE_ZONE",
        /// The internet.
        External = "EXTERNAL_ZONE",
        /// The private and loopback ranges.
        Internal = "INTERNAL_ZONE",
        /// Named as trusted by the operator.
        Trusted = "TRUSTED_ZONE",
    }
}

closed_set! {
    /// Whose verdict a threat shows.
    AuditRef, "audit_ref" {
        /// The rules' alone.
        RuleEngine = "RULE-ENGINE",
        /// The model's, on the floor that the rules set.
        Gemini = "GEMINI",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_one_way() {
        for severity in Severity::ALL {
            assert_eq!(serde_json::to_string(severity).unwrap(), format!("\"{severity}\""));
            assert_eq!(severity.as_str().parse(), Ok(*severity));
        }
        let error = "high".parse::<Severity>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown severity; allowed: INFO, LOW, MEDIUM, HIGH, CRITICAL"
        );
    }

    #[test]
    fn severities_are_ordered_and_stop_at_their_ends() {
        assert!(Severity::Critical > Severity::High);
        assert_eq!(Severity::Info.lowered(), Severity::Info);
        assert_eq!(Severity::Critical.raised(), Severity::Critical);
    }
}
