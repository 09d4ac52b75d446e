use super::*;
use crate::decode::decode as any;

const FLAT: &str = r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","SourceName":"Microsoft-Windows-Sysmon","Hostname":"ws-1","@timestamp":"2020-09-21T23:19:01.473Z","Image":"C:\\Windows\\cmd.exe","CommandLine":"cmd /c whoami","User":"LAB\\ana"}"#;
const WINLOG: &str = r#"{"@timestamp":"2020-09-21T23:19:01.473Z","event":{"code":"1"},"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","provider_name":"Microsoft-Windows-Sysmon","event_id":"1","computer_name":"ws-1","event_data":{"Image":"C:\\Windows\\cmd.exe","CommandLine":"cmd /c whoami","User":"LAB\\ana"}}}"#;
const XML: &str = r##"{"Event":{"#attributes":{"xmlns":"x"},"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Sysmon"}},"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws-1","TimeCreated":{"#attributes":{"SystemTime":"2020-09-21T23:19:01.473Z"}}},"EventData":{"Image":"C:\\Windows\\cmd.exe","CommandLine":"cmd /c whoami","User":"LAB\\ana"}}}"##;
const LISTED: &str = r##"{"Event":{"System":{"Provider":{"@Name":"Microsoft-Windows-Sysmon"},"EventID":{"@Qualifiers":"0","#text":"1"},"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws-1","TimeCreated":{"@SystemTime":"2020-09-21T23:19:01.473Z"}},"EventData":{"Data":[{"@Name":"Image","#text":"C:\\Windows\\cmd.exe"},{"@Name":"CommandLine","#text":"cmd /c whoami"},{"@Name":"User","#text":"LAB\\ana"},{"#text":"one"},{"#text":"two"}]}}}"##;

fn read(raw: &str) -> Event<'_> {
    any(
        raw,
        Format::Auto,
        threatstream_domain::Timestamp::from_secs(1_795_338_000),
    )
}

#[test]
fn every_form_says_the_same() {
    for raw in [FLAT, WINLOG, XML, LISTED] {
        let event = read(raw);
        assert_eq!(event.format, "windows", "{raw}");
        assert_eq!(event.logsource.category.as_deref(), Some("process_creation"), "{raw}");
        assert_eq!(
            event.time.map(|time| time.to_string()).as_deref(),
            Some("2020-09-21T23:19:01.473Z"),
            "{raw}"
        );
        for (field, expected) in [
            ("Image", r"C:\Windows\cmd.exe"),
            ("CommandLine", "cmd /c whoami"),
            ("EventID", "1"),
            ("Provider_Name", "Microsoft-Windows-Sysmon"),
            ("Computer", "ws-1"),
            ("process.executable", r"C:\Windows\cmd.exe"),
            ("user.name", "ana"),
            ("host.name", "ws-1"),
            ("event.code", "1"),
        ] {
            let found = event.field(field).and_then(Value::text);
            assert_eq!(found.as_deref(), Some(expected), "{field} of {raw}");
        }
    }
}

#[test]
fn data_without_a_name_is_one_field() {
    let values = |raw| read(raw).field("Data").cloned();
    let expected = Value::List(vec![Value::str("one"), Value::str("two")]);
    assert_eq!(values(LISTED), Some(expected.clone()));
    let winlog =
        r#"{"winlog":{"channel":"Windows PowerShell","event_id":400,"event_data":{"param1":"one","param2":"two"}}}"#;
    assert_eq!(values(winlog), Some(expected));
    assert_eq!(read(winlog).logsource.category.as_deref(), Some("ps_classic_start"));
}

#[test]
fn a_process_that_security_saw_is_found_by_the_names_of_sysmon() {
    let raw = r#"{"EventID":4688,"Channel":"Security","SubjectUserName":"ana","TargetUserName":"-","NewProcessName":"C:\\x.exe","ParentProcessName":"C:\\p.exe"}"#;
    let event = read(raw);
    for (field, expected) in [
        ("Image", r"C:\x.exe"),
        ("ParentImage", r"C:\p.exe"),
        ("User", "ana"),
        ("user.name", "ana"),
    ] {
        assert_eq!(
            event.field(field).and_then(Value::text).as_deref(),
            Some(expected),
            "{field}"
        );
    }
    assert_eq!(event.logsource.service.as_deref(), Some("security"));
}

#[test]
fn logons_are_of_the_account_that_logs_on() {
    let raw = r#"{"EventID":4625,"Channel":"Security","SubjectUserName":"WS-1$","TargetUserName":"ana","IpAddress":"203.0.113.7","IpPort":"50538"}"#;
    let event = read(raw);
    assert_eq!(event.ecs_text("user.name").as_deref(), Some("ana"));
    assert_eq!(event.ecs_text("source.ip").as_deref(), Some("203.0.113.7"));
    assert_eq!(event.ecs.get("source.port"), Some(&Value::Int(50_538)));
    assert_eq!(event.ecs_text("event.outcome").as_deref(), Some("failure"));
    let raw = r#"{"EventID":4720,"Channel":"Security","SubjectUserName":"admin","TargetUserName":"ana"}"#;
    assert_eq!(read(raw).ecs_text("user.name").as_deref(), Some("admin"));
    assert_eq!(read(raw).ecs_text("user.target.name").as_deref(), Some("ana"));
}

#[test]
fn what_only_looks_like_windows_is_not() {
    for raw in [
        r#"{"EventID":"seven"}"#,
        r#"{"EventID":7,"msg":"x"}"#,
        r#"{"winlog":{}}"#,
        r#"{"Event":{"System":1}}"#,
    ] {
        assert_eq!(read(raw).format, "json", "{raw}");
    }
}
