//! From a Windows event's channel and number to what Sigma's rules call its log: the services and categories of Sigma's
//! taxonomy, as its published processing pipelines map them.

use super::logsource;
use crate::LogSource;

const SYSMON: &str = "sysmon";
const SECURITY: &str = "security";
const POWERSHELL: &str = "powershell";
const POWERSHELL_CLASSIC: &str = "powershell-classic";

/// Channels, the frequent ones first, and the services that they are.
const SERVICES: &[(&str, &str)] = &[
    ("Microsoft-Windows-Sysmon/Operational", SYSMON),
    ("Security", SECURITY),
    ("Microsoft-Windows-PowerShell/Operational", POWERSHELL),
    ("Windows PowerShell", POWERSHELL_CLASSIC),
    ("System", "system"),
    ("Application", "application"),
    ("PowerShellCore/Operational", POWERSHELL),
    ("Linux-Sysmon/Operational", SYSMON),
    ("DNS Server", "dns-server"),
    ("MSExchange Management", "msexchange-management"),
    ("Microsoft-IIS-Configuration/Operational", "iis-configuration"),
    ("Microsoft-ServiceBus-Client", "microsoft-servicebus-client"),
    ("Microsoft-ServiceBus-Client/Admin", "microsoft-servicebus-client"),
    ("Microsoft-ServiceBus-Client/Operational", "microsoft-servicebus-client"),
    ("Microsoft-Windows-AppLocker/EXE and DLL", "applocker"),
    ("Microsoft-Windows-AppLocker/MSI and Script", "applocker"),
    ("Microsoft-Windows-AppLocker/Packaged app-Deployment", "applocker"),
    ("Microsoft-Windows-AppLocker/Packaged app-Execution", "applocker"),
    ("Microsoft-Windows-AppModel-Runtime/Admin", "appmodel-runtime"),
    (
        "Microsoft-Windows-AppXDeploymentServer/Operational",
        "appxdeployment-server",
    ),
    ("Microsoft-Windows-AppxPackaging/Operational", "appxpackaging-om"),
    ("Microsoft-Windows-BitLocker/BitLocker Management", "bitlocker"),
    ("Microsoft-Windows-Bits-Client/Operational", "bits-client"),
    ("Microsoft-Windows-CAPI2/Operational", "capi2"),
    (
        "Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational",
        "certificateservicesclient-lifecycle-system",
    ),
    (
        "Microsoft-Windows-CodeIntegrity/Operational",
        "codeintegrity-operational",
    ),
    ("Microsoft-Windows-DHCP-Server/Operational", "dhcp"),
    ("Microsoft-Windows-DNS Client Events/Operational", "dns-client"),
    ("Microsoft-Windows-DNS-Client/Operational", "dns-client"),
    ("Microsoft-Windows-DNS-Server/Analytical", "dns-server-analytic"),
    ("Microsoft-Windows-DNS-Server/Audit", "dns-server-audit"),
    ("Microsoft-Windows-Diagnosis-Scripted/Operational", "diagnosis-scripted"),
    (
        "Microsoft-Windows-DriverFrameworks-UserMode/Operational",
        "driver-framework",
    ),
    ("Microsoft-Windows-Hyper-V-Worker", "hyper-v-worker"),
    ("Microsoft-Windows-Kernel-EventTracing", "kernel-event-tracing"),
    ("Microsoft-Windows-Kernel-ShimEngine/Diagnostic", "kernel-shimengine"),
    ("Microsoft-Windows-Kernel-ShimEngine/Operational", "kernel-shimengine"),
    ("Microsoft-Windows-LDAP-Client/Debug", "ldap"),
    ("Microsoft-Windows-LSA/Operational", "lsa-server"),
    ("Microsoft-Windows-NTLM/Operational", "ntlm"),
    ("Microsoft-Windows-Ntfs/Operational", "ntfs"),
    ("Microsoft-Windows-PrintService/Admin", "printservice-admin"),
    ("Microsoft-Windows-PrintService/Operational", "printservice-operational"),
    ("Microsoft-Windows-SENSE/Operational", "sense"),
    ("Microsoft-Windows-SMBServer/Audit", "smbserver-audit"),
    ("Microsoft-Windows-SMBServer/Connectivity", "smbserver-connectivity"),
    ("Microsoft-Windows-SMBServer/Security", "smbserver-security"),
    (
        "Microsoft-Windows-Security-Mitigations/Kernel Mode",
        "security-mitigations",
    ),
    (
        "Microsoft-Windows-Security-Mitigations/User Mode",
        "security-mitigations",
    ),
    ("Microsoft-Windows-Shell-Core/Operational", "shell-core"),
    ("Microsoft-Windows-SmbClient/Audit", "smbclient-audit"),
    ("Microsoft-Windows-SmbClient/Connectivity", "smbclient-connectivity"),
    ("Microsoft-Windows-SmbClient/Security", "smbclient-security"),
    ("Microsoft-Windows-TaskScheduler/Operational", "taskscheduler"),
    (
        "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
        "terminalservices-localsessionmanager",
    ),
    (
        "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational",
        "terminalservices-remoteconnectionmanager",
    ),
    ("Microsoft-Windows-VHDMP-Operational", "vhdmp"),
    ("Microsoft-Windows-VHDMP/Operational", "vhdmp"),
    ("Microsoft-Windows-WMI-Activity/Operational", "wmi"),
    ("Microsoft-Windows-Windows Defender/Operational", "windefend"),
    (
        "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall",
        "firewall-as",
    ),
    ("OpenSSH/Operational", "openssh"),
];

/// Providers that say where an event is from when it names no channel.
const PROVIDERS: &[(&str, &str)] = &[
    ("Microsoft-Windows-Sysmon", SYSMON),
    ("Linux-Sysmon", SYSMON),
    ("Microsoft-Windows-Security-Auditing", SECURITY),
    ("Microsoft-Windows-PowerShell", POWERSHELL),
    ("PowerShell", POWERSHELL_CLASSIC),
    ("Microsoft-Windows-Windows Defender", "windefend"),
];

/// What is known of an event before its log source is.
pub(super) struct Source<'e> {
    /// `Channel`, empty when it is unknown.
    pub(super) channel: &'e str,
    /// `Provider_Name`, empty when it is unknown.
    pub(super) provider: &'e str,
    /// `EventID`.
    pub(super) code: u32,
    /// `EventType` of Sysmon's registry events, empty when it is unknown.
    pub(super) event_type: &'e str,
}

impl Source<'_> {
    /// The log source, and the categories it is of besides.
    pub(super) fn logsource(&self) -> (LogSource, &'static [&'static str]) {
        let service = find(SERVICES, self.channel).or_else(|| find(PROVIDERS, self.provider));
        let (category, also) = match service {
            Some(SYSMON) => self.sysmon(),
            Some(SECURITY) => (named(self.code == 4688, "process_creation"), NONE),
            Some(POWERSHELL) => match self.code {
                4103 => (Some("ps_module"), NONE),
                4104 => (Some("ps_script"), NONE),
                _ => (None, NONE),
            },
            Some(POWERSHELL_CLASSIC) => match self.code {
                400 => (Some("ps_classic_start"), NONE),
                600 => (Some("ps_classic_provider_start"), NONE),
                800 => (Some("ps_classic_script"), NONE),
                _ => (None, NONE),
            },
            _ => (None, NONE),
        };
        let linux = self.channel.starts_with("Linux-") || self.provider.starts_with("Linux-");
        let product = if linux { "linux" } else { "windows" };
        (logsource(category, Some(product), service), also)
    }

    fn sysmon(&self) -> (Option<&'static str>, &'static [&'static str]) {
        let category = match self.code {
            1 => "process_creation",
            2 => "file_change",
            3 => "network_connection",
            4 | 16 => "sysmon_status",
            5 => "process_termination",
            6 => "driver_load",
            7 => "image_load",
            8 => "create_remote_thread",
            9 => "raw_access_thread",
            10 => "process_access",
            11 => "file_event",
            12 => return self.registry_key(),
            13 => return (Some("registry_set"), &["registry_event"]),
            14 => return (Some("registry_rename"), &["registry_event"]),
            15 => "create_stream_hash",
            17 | 18 => "pipe_created",
            19..=21 => "wmi_event",
            22 => "dns_query",
            23 | 26 => "file_delete",
            24 => "clipboard_change",
            25 => "process_tampering",
            27 => "file_block_executable",
            28 => "file_block_shredding",
            29 => "file_executable_detected",
            255 => "sysmon_error",
            _ => return (None, NONE),
        };
        (Some(category), NONE)
    }

    /// One number stands for keys that come and keys that go; `EventType` tells which, unless a collector put something
    /// else in its place.
    fn registry_key(&self) -> (Option<&'static str>, &'static [&'static str]) {
        let is = |kind: &str| self.event_type.eq_ignore_ascii_case(kind);
        if is("CreateKey") {
            (Some("registry_add"), &["registry_event"])
        } else if is("DeleteKey") || is("DeleteValue") {
            (Some("registry_delete"), &["registry_event"])
        } else {
            (Some("registry_event"), &["registry_add", "registry_delete"])
        }
    }
}

const NONE: &[&str] = &[];

fn named(holds: bool, category: &'static str) -> Option<&'static str> {
    holds.then_some(category)
}

/// Collectors do not agree on the case of channels.
fn find(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, service)| *service)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(channel: &str, code: u32, event_type: &str) -> String {
        let source = Source {
            channel,
            provider: "",
            code,
            event_type,
        };
        let (source, also) = source.logsource();
        let part = |part: Option<std::borrow::Cow<'static, str>>| part.unwrap_or("-".into());
        let own = [part(source.product), part(source.service), part(source.category)];
        format!("{} {}", own.join(" "), also.join(" ")).trim_end().to_owned()
    }

    #[test]
    fn channels_and_numbers_name_log_sources() {
        let sysmon = "Microsoft-Windows-Sysmon/Operational";
        for (channel, code, event_type, expected) in [
            (sysmon, 1, "", "windows sysmon process_creation"),
            (sysmon, 12, "CreateKey", "windows sysmon registry_add registry_event"),
            (
                sysmon,
                12,
                "DeleteValue",
                "windows sysmon registry_delete registry_event",
            ),
            (
                sysmon,
                12,
                "INFO",
                "windows sysmon registry_event registry_add registry_delete",
            ),
            (sysmon, 13, "SetValue", "windows sysmon registry_set registry_event"),
            (sysmon, 999, "", "windows sysmon -"),
            ("security", 4688, "", "windows security process_creation"),
            ("Security", 4624, "", "windows security -"),
            (
                "Microsoft-Windows-PowerShell/Operational",
                4104,
                "",
                "windows powershell ps_script",
            ),
            (
                "Windows PowerShell",
                400,
                "",
                "windows powershell-classic ps_classic_start",
            ),
            ("Linux-Sysmon/Operational", 3, "", "linux sysmon network_connection"),
            ("Somebody's Own Log", 1, "", "windows - -"),
        ] {
            assert_eq!(of(channel, code, event_type), expected, "{channel} {code}");
        }
    }

    #[test]
    fn a_provider_stands_in_for_its_channel() {
        let source = Source {
            channel: "",
            provider: "Microsoft-Windows-Sysmon",
            code: 22,
            event_type: "",
        };
        assert_eq!(source.logsource().0.category.as_deref(), Some("dns_query"));
    }
}
