//! The techniques of MITRE ATT&CK that rules speak of, by id.

/// One technique or sub-technique of the enterprise matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Technique {
    /// `T1110`, or `T1110.003` for a sub-technique.
    pub id: &'static str,
    /// As the matrix names it; a sub-technique without its parent's name.
    pub name: &'static str,
    /// The tactic it serves first.
    pub tactic: &'static str,
}

/// The technique of exactly this id, in upper or lower case, with or without `attack.` before it.
#[must_use]
pub fn technique(id: &str) -> Option<&'static Technique> {
    let id = id.strip_prefix("attack.").unwrap_or(id);
    TECHNIQUES
        .iter()
        .find(|technique| technique.id.eq_ignore_ascii_case(id))
}

/// The technique of this id, or the one that an unknown sub-technique belongs to.
#[must_use]
pub fn technique_or_parent(id: &str) -> Option<&'static Technique> {
    technique(id).or_else(|| {
        let id = id.strip_prefix("attack.").unwrap_or(id);
        technique(id.split_once('.')?.0)
    })
}

/// Every technique known here, sorted by id.
#[must_use]
pub fn all() -> &'static [Technique] {
    TECHNIQUES
}

const fn entry(id: &'static str, name: &'static str, tactic: &'static str) -> Technique {
    Technique { id, name, tactic }
}

const RECONNAISSANCE: &str = "Reconnaissance";
const RESOURCES: &str = "Resource Development";
const INITIAL_ACCESS: &str = "Initial Access";
const EXECUTION: &str = "Execution";
const PERSISTENCE: &str = "Persistence";
const ESCALATION: &str = "Privilege Escalation";
const EVASION: &str = "Defense Evasion";
const CREDENTIALS: &str = "Credential Access";
const DISCOVERY: &str = "Discovery";
const LATERAL: &str = "Lateral Movement";
const COLLECTION: &str = "Collection";
const COMMAND: &str = "Command and Control";
const EXFILTRATION: &str = "Exfiltration";
const IMPACT: &str = "Impact";

static TECHNIQUES: &[Technique] = &[
    entry("T1003", "OS Credential Dumping", CREDENTIALS),
    entry("T1003.001", "LSASS Memory", CREDENTIALS),
    entry("T1003.008", "/etc/passwd and /etc/shadow", CREDENTIALS),
    entry("T1005", "Data from Local System", COLLECTION),
    entry("T1014", "Rootkit", EVASION),
    entry("T1018", "Remote System Discovery", DISCOVERY),
    entry("T1021", "Remote Services", LATERAL),
    entry("T1021.001", "Remote Desktop Protocol", LATERAL),
    entry("T1021.002", "SMB/Windows Admin Shares", LATERAL),
    entry("T1021.004", "SSH", LATERAL),
    entry("T1027", "Obfuscated Files or Information", EVASION),
    entry("T1030", "Data Transfer Size Limits", EXFILTRATION),
    entry("T1033", "System Owner/User Discovery", DISCOVERY),
    entry("T1036", "Masquerading", EVASION),
    entry("T1040", "Network Sniffing", CREDENTIALS),
    entry("T1041", "Exfiltration Over C2 Channel", EXFILTRATION),
    entry("T1046", "Network Service Discovery", DISCOVERY),
    entry("T1047", "Windows Management Instrumentation", EXECUTION),
    entry("T1048", "Exfiltration Over Alternative Protocol", EXFILTRATION),
    entry("T1053", "Scheduled Task/Job", EXECUTION),
    entry("T1053.003", "Cron", EXECUTION),
    entry("T1053.005", "Scheduled Task", EXECUTION),
    entry("T1055", "Process Injection", EVASION),
    entry("T1057", "Process Discovery", DISCOVERY),
    entry("T1059", "Command and Scripting Interpreter", EXECUTION),
    entry("T1059.001", "PowerShell", EXECUTION),
    entry("T1059.004", "Unix Shell", EXECUTION),
    entry("T1059.007", "JavaScript", EXECUTION),
    entry("T1068", "Exploitation for Privilege Escalation", ESCALATION),
    entry("T1070", "Indicator Removal", EVASION),
    entry("T1070.001", "Clear Windows Event Logs", EVASION),
    entry("T1070.002", "Clear Linux or Mac System Logs", EVASION),
    entry("T1070.003", "Clear Command History", EVASION),
    entry("T1071", "Application Layer Protocol", COMMAND),
    entry("T1071.001", "Web Protocols", COMMAND),
    entry("T1071.004", "DNS", COMMAND),
    entry("T1078", "Valid Accounts", INITIAL_ACCESS),
    entry("T1078.003", "Local Accounts", INITIAL_ACCESS),
    entry("T1078.004", "Cloud Accounts", INITIAL_ACCESS),
    entry("T1082", "System Information Discovery", DISCOVERY),
    entry("T1083", "File and Directory Discovery", DISCOVERY),
    entry("T1087", "Account Discovery", DISCOVERY),
    entry("T1090", "Proxy", COMMAND),
    entry("T1095", "Non-Application Layer Protocol", COMMAND),
    entry("T1098", "Account Manipulation", PERSISTENCE),
    entry("T1098.001", "Additional Cloud Credentials", PERSISTENCE),
    entry("T1098.003", "Additional Cloud Roles", PERSISTENCE),
    entry("T1098.004", "SSH Authorized Keys", PERSISTENCE),
    entry("T1098.007", "Additional Local or Domain Groups", PERSISTENCE),
    entry("T1105", "Ingress Tool Transfer", COMMAND),
    entry("T1110", "Brute Force", CREDENTIALS),
    entry("T1110.001", "Password Guessing", CREDENTIALS),
    entry("T1110.002", "Password Cracking", CREDENTIALS),
    entry("T1110.003", "Password Spraying", CREDENTIALS),
    entry("T1110.004", "Credential Stuffing", CREDENTIALS),
    entry("T1112", "Modify Registry", EVASION),
    entry("T1133", "External Remote Services", INITIAL_ACCESS),
    entry("T1136", "Create Account", PERSISTENCE),
    entry("T1136.001", "Local Account", PERSISTENCE),
    entry("T1136.003", "Cloud Account", PERSISTENCE),
    entry("T1140", "Deobfuscate/Decode Files or Information", EVASION),
    entry("T1189", "Drive-by Compromise", INITIAL_ACCESS),
    entry("T1190", "Exploit Public-Facing Application", INITIAL_ACCESS),
    entry("T1195", "Supply Chain Compromise", INITIAL_ACCESS),
    entry("T1199", "Trusted Relationship", INITIAL_ACCESS),
    entry("T1203", "Exploitation for Client Execution", EXECUTION),
    entry("T1204", "User Execution", EXECUTION),
    entry("T1210", "Exploitation of Remote Services", LATERAL),
    entry("T1218", "System Binary Proxy Execution", EVASION),
    entry("T1219", "Remote Access Tools", COMMAND),
    entry("T1484", "Domain or Tenant Policy Modification", ESCALATION),
    entry("T1485", "Data Destruction", IMPACT),
    entry("T1486", "Data Encrypted for Impact", IMPACT),
    entry("T1489", "Service Stop", IMPACT),
    entry("T1490", "Inhibit System Recovery", IMPACT),
    entry("T1496", "Resource Hijacking", IMPACT),
    entry("T1498", "Network Denial of Service", IMPACT),
    entry("T1498.001", "Direct Network Flood", IMPACT),
    entry("T1499", "Endpoint Denial of Service", IMPACT),
    entry("T1505", "Server Software Component", PERSISTENCE),
    entry("T1505.003", "Web Shell", PERSISTENCE),
    entry("T1526", "Cloud Service Discovery", DISCOVERY),
    entry("T1528", "Steal Application Access Token", CREDENTIALS),
    entry("T1530", "Data from Cloud Storage", COLLECTION),
    entry("T1531", "Account Access Removal", IMPACT),
    entry("T1537", "Transfer Data to Cloud Account", EXFILTRATION),
    entry("T1543", "Create or Modify System Process", PERSISTENCE),
    entry("T1546", "Event Triggered Execution", PERSISTENCE),
    entry("T1547", "Boot or Logon Autostart Execution", PERSISTENCE),
    entry("T1548", "Abuse Elevation Control Mechanism", ESCALATION),
    entry("T1548.003", "Sudo and Sudo Caching", ESCALATION),
    entry("T1550", "Use Alternate Authentication Material", LATERAL),
    entry("T1552", "Unsecured Credentials", CREDENTIALS),
    entry("T1552.001", "Credentials In Files", CREDENTIALS),
    entry("T1552.005", "Cloud Instance Metadata API", CREDENTIALS),
    entry("T1555", "Credentials from Password Stores", CREDENTIALS),
    entry("T1556", "Modify Authentication Process", CREDENTIALS),
    entry("T1557", "Adversary-in-the-Middle", CREDENTIALS),
    entry("T1562", "Impair Defenses", EVASION),
    entry("T1562.001", "Disable or Modify Tools", EVASION),
    entry("T1562.007", "Disable or Modify Cloud Firewall", EVASION),
    entry("T1562.008", "Disable or Modify Cloud Logs", EVASION),
    entry("T1566", "Phishing", INITIAL_ACCESS),
    entry("T1566.001", "Spearphishing Attachment", INITIAL_ACCESS),
    entry("T1567", "Exfiltration Over Web Service", EXFILTRATION),
    entry("T1568", "Dynamic Resolution", COMMAND),
    entry("T1569", "System Services", EXECUTION),
    entry("T1570", "Lateral Tool Transfer", LATERAL),
    entry("T1571", "Non-Standard Port", COMMAND),
    entry("T1572", "Protocol Tunneling", COMMAND),
    entry("T1578", "Modify Cloud Compute Infrastructure", EVASION),
    entry("T1580", "Cloud Infrastructure Discovery", DISCOVERY),
    entry("T1583", "Acquire Infrastructure", RESOURCES),
    entry("T1588", "Obtain Capabilities", RESOURCES),
    entry("T1589", "Gather Victim Identity Information", RECONNAISSANCE),
    entry("T1590", "Gather Victim Network Information", RECONNAISSANCE),
    entry("T1592", "Gather Victim Host Information", RECONNAISSANCE),
    entry("T1595", "Active Scanning", RECONNAISSANCE),
    entry("T1595.001", "Scanning IP Blocks", RECONNAISSANCE),
    entry("T1595.002", "Vulnerability Scanning", RECONNAISSANCE),
    entry("T1595.003", "Wordlist Scanning", RECONNAISSANCE),
    entry("T1606", "Forge Web Credentials", CREDENTIALS),
    entry("T1611", "Escape to Host", ESCALATION),
    entry("T1621", "Multi-Factor Authentication Request Generation", CREDENTIALS),
    entry("T1651", "Cloud Administration Command", EXECUTION),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_are_sorted_unique_and_found_however_written() {
        assert!(all().windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(technique("attack.t1110.003").unwrap().name, "Password Spraying");
        assert_eq!(technique("T1110.999"), None);
        assert_eq!(technique_or_parent("t1110.999").unwrap().id, "T1110");
        assert_eq!(technique_or_parent("TA0006"), None);
    }
}
