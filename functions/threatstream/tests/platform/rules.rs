//! `threatstream rules`: checking, testing, listing and explaining rules.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use super::harness::command;

const RULE: &str = r"title: Office Starts a Shell
id: 0b7ea5a2-9f11-4f6c-8f0d-3f5b7a0c8e11
status: test
level: high
date: 2026-11-22
tags: [attack.execution, attack.t1059]
logsource: { product: threatstream, category: native }
detection:
    selection:
        event_type: process
        payload.parent|endswith: ['\winword.exe', '\excel.exe']
    filter_printing:
        payload.line|contains: splwow64
    condition: selection and not 1 of filter_*
";

const MATCHING: &str = r#"{"event_type":"process","payload":{"parent":"C:\\winword.exe","line":"cmd"}}"#;
const PRINTING: &str = r#"{"event_type":"process","payload":{"parent":"C:\\winword.exe","line":"splwow64 1"}}"#;

fn rules(arguments: &[&str], input: &str) -> Output {
    rules_in(Path::new("."), &[], arguments, input)
}

fn rules_in(folder: &Path, variables: &[(&str, &str)], arguments: &[&str], input: &str) -> Output {
    let mut command = command();
    command.current_dir(folder).arg("rules").args(arguments);
    command.envs(variables.iter().copied());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    // It may answer without having read everything.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(&path, text).expect("written");
    path.to_string_lossy().into_owned()
}

#[test]
fn the_built_in_rules_are_clean_and_pass_their_tests() {
    let checked = rules(&["check", "--output", "json"], "");
    assert_eq!(checked.status.code(), Some(0));
    let report = json(&checked);
    assert!(report["loaded"].as_u64().is_some_and(|loaded| loaded >= 50), "{report}");
    assert_eq!(
        (report["set_aside"].as_array(), report["warnings"].as_array()),
        (Some(&vec![]), Some(&vec![]))
    );
    let tested = rules(&["test", "--output", "json"], "");
    let report = json(&tested);
    assert_eq!(
        (tested.status.code(), &report["failed"]),
        (Some(0), &Value::from(0)),
        "{report:#}"
    );
    assert!(report["passed"].as_u64().is_some_and(|passed| passed >= 40), "{report}");
}

#[test]
fn check_counts_what_loads_and_says_what_is_wrong_with_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), "good.yml", RULE);
    assert_eq!(rules(&["check", &file], "").status.code(), Some(0));
    write(
        folder.path(),
        "warned.yaml",
        &RULE.replace("0b7e", "1b7e").replace("status: test", "status: great"),
    );
    let all = folder.path().to_string_lossy().into_owned();
    let warned = rules(&["check", &all, "--output", "json"], "");
    assert_eq!(warned.status.code(), Some(0), "a warning is no failure");
    let report = json(&warned);
    let reasons: Vec<&str> = report["warnings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|own| own["reason"].as_str())
        .collect();
    assert_eq!(report["loaded"], 2);
    assert!(
        reasons
            .iter()
            .any(|reason| reason.contains("`great` is none of stable")),
        "{reasons:?}"
    );
    write(
        folder.path(),
        "bad\u{1b}[31m.yml",
        &RULE.replace("|endswith", "|endsworth"),
    );
    for output in ["table", "json", "ndjson", "csv"] {
        let bad = rules(&["check", &all, "--output", output], "");
        assert_eq!(bad.status.code(), Some(2));
        let text = String::from_utf8(bad.stdout).expect("text");
        assert!(text.contains("endsworth"), "{text}");
        assert!(!text.contains('\u{1b}'), "{output}: a file's name reaches the terminal");
    }
    let from_variable = rules_in(
        folder.path(),
        &[("RULES_DIR", ".")],
        &["check", "--no-builtin-rules", "--output", "json"],
        "",
    );
    let report = json(&from_variable);
    assert_eq!(
        (&report["loaded"], report["set_aside"][0]["file"].is_string()),
        (&Value::from(2), true)
    );
    assert_eq!(rules(&["check", "/no/such/rules"], "").status.code(), Some(3));
}

#[test]
fn list_names_rules_and_what_correlations_count() {
    let listed = json(&rules(&["list", "--output", "json"], ""));
    let listed = listed.as_array().expect("a list");
    let of = |title: &str| listed.iter().find(|own| own["title"] == title).expect("it is listed");
    let brute = of("SSH Brute Force");
    assert_eq!(
        (&brute["kind"], &brute["threat_type"], &brute["level"]),
        (&"correlation".into(), &"BRUTE_FORCE".into(), &"HIGH".into())
    );
    let counted = &brute["correlation"];
    assert_eq!(
        (&counted["type"], &counted["timespan"], &counted["group_by"][0]),
        (&"event_count".into(), &"1m".into(), &"source.ip".into())
    );
    let base = of("SSH Login Failed");
    assert_eq!(
        (&base["alerts"], &base["logsource"]["service"], &base["techniques"][0]),
        (&false.into(), &"sshd".into(), &"T1110".into())
    );
    for output in ["table", "csv", "ndjson"] {
        let text = String::from_utf8(rules(&["list", "--output", output], "").stdout).expect("text");
        // A table breaks a title into lines.
        let expected = if output == "table" {
            "BRUTE_FORCE"
        } else {
            "Slow SSH Brute Force"
        };
        assert!(text.contains(expected), "{output}");
    }
}

#[test]
fn explain_says_which_selection_failed_on_which_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), "r.yml", RULE);
    let other = r#"{"event_type":"process","payload":{"parent":"C:\\explorer.exe"}}"#;
    let foreign = "Dec 10 07:28:08 web sshd[4]: Failed password for root from 203.0.113.7 port 5 ssh2";
    let input = [MATCHING, PRINTING, other, foreign].join("\n");
    let arguments = ["explain", "--event", "-", "--rule", "Office Starts a Shell", &file];
    let output = rules(&[&arguments[..], &["--output", "json"]].concat(), &input);
    assert_eq!(output.status.code(), Some(0));
    let events = json(&output);
    let outcome = |line: usize| &events[line]["rules"][0];
    assert_eq!(
        (&outcome(0)["matched"], &outcome(0)["failures"]),
        (&true.into(), &Value::Array(Vec::new()))
    );
    let printing = &outcome(1)["failures"][0];
    assert_eq!(
        (&printing["selection"], &printing["cause"]),
        (&"filter_printing".into(), &"excluded".into())
    );
    let parent = &outcome(2)["failures"][0];
    assert_eq!(
        (&parent["field"], &parent["has"][0]),
        (&"payload.parent|endswith".into(), &"C:\\explorer.exe".into())
    );
    assert_eq!(parent["wants"][1], "\\excel.exe");
    let source = &outcome(3)["logsource"][0];
    assert_eq!(
        (&source["holds"], &outcome(3)["matched"]),
        (&false.into(), &false.into())
    );
    let text = String::from_utf8(rules(&arguments, &input).stdout).expect("text");
    for expected in [
        "✓selection and not ✓filter_printing",
        "differs   selection: payload.parent|endswith wants '\\winword.exe'",
        "the event names none",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let unknown = rules(&["explain", "--event", "-", "--rule", "nothing", &file], &input);
    assert_eq!(unknown.status.code(), Some(3));
}

#[test]
fn explain_finds_the_rules_by_itself_and_escapes_what_is_hostile() {
    let hostile = "Dec 10 07:28:08 web\u{1b}[2J sshd[4]: Failed password for invalid user \u{1b}]0;owned\u{7}\u{202e} from 203.0.113.7 port 5 ssh2";
    for output in ["text", "json", "ndjson"] {
        let explained = rules(&["explain", "--event", "-", "--output", output], hostile);
        let text = String::from_utf8(explained.stdout).expect("text");
        assert!(
            text.contains("SSH Login Failed") && text.contains("203.0.113.7"),
            "{text}"
        );
        let unsafe_ones = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(unsafe_ones), "{output}: {text:?}");
    }
    let explained = rules(
        &["explain", "--event", "-", "--output", "ndjson", "--nearest", "2"],
        hostile,
    );
    let event = json(&explained);
    assert_eq!(event["nearest"].as_array().map(Vec::len), Some(2));
    assert!(event["rules"][0]["counted_by"][0]["group_by"][0][0].is_string());
}

#[test]
fn tests_beside_rules_fail_when_a_verdict_is_not_theirs() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), "r.yml", RULE);
    let tests =
        format!("tests:\n  - rule: Office Starts a Shell\n    match: ['{MATCHING}']\n    no_match: ['{PRINTING}']\n");
    write(folder.path(), "r.tests.yml", &tests);
    let passed = rules(&["test", &file], "");
    assert_eq!(
        passed.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&passed.stdout)
    );
    write(
        folder.path(),
        "r.tests.yml",
        &tests
            .replace("no_match", "x")
            .replace("match", "no_match")
            .replace("x:", "match:"),
    );
    let failed = rules(&["test", &file, "--output", "json"], "");
    assert_eq!(
        (failed.status.code(), &json(&failed)["failed"]),
        (Some(1), &Value::from(1))
    );
}

#[test]
fn sigmahqs_tests_run_from_json_and_are_left_out_without_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let id = "0b7ea5a2-9f11-4f6c-8f0d-3f5b7a0c8e11";
    let rule = RULE
        .replace(
            "product: threatstream, category: native",
            "product: windows, category: process_creation",
        )
        .replace("event_type: process", "EventID: 1")
        .replace("payload.parent", "ParentImage")
        .replace("payload.line", "CommandLine");
    let file = write(
        folder.path(),
        "rules/windows/office.yml",
        &format!("{rule}regression_tests_path: regression_data/rules/office/info.yml\n"),
    );
    let info = |kind: &str, count: u64| {
        format!(
            "id: x\nrule_metadata:\n    - id: {id}\n      title: t\nregression_tests_info:\n    - name: Positive Detection Test\n      type: {kind}\n      match_count: {count}\n      path: regression_data/rules/office/{id}.{kind}\n"
        )
    };
    let event = r##"{"Event":{"System":{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Provider":{"#attributes":{"Name":"Microsoft-Windows-Sysmon"}}},"EventData":{"ParentImage":"C:\\winword.exe","CommandLine":"cmd"}}}"##;
    let run = |kind: &str, count: u64| {
        write(
            folder.path(),
            "regression_data/rules/office/info.yml",
            &info(kind, count),
        );
        let output = rules(&["test", &file, "--output", "json"], "");
        let report = json(&output);
        let counts = ["passed", "failed", "left_out"].map(|name| report[name].as_u64().expect("a number"));
        (output.status.code(), counts)
    };
    assert_eq!(run("evtx", 1), (Some(0), [0, 0, 1]), "a binary log alone is not read");
    assert_eq!(
        run("json", 1),
        (Some(1), [0, 1, 0]),
        "a file that is not there is a failure"
    );
    write(folder.path(), &format!("regression_data/rules/office/{id}.json"), event);
    assert_eq!(run("evtx", 1), (Some(0), [1, 0, 0]));
    assert_eq!(run("json", 1), (Some(0), [1, 0, 0]));
    assert_eq!(run("json", 2), (Some(1), [0, 1, 0]));
    // The tree as a whole: what lies beside the rules is no rule.
    let all = folder.path().to_string_lossy().into_owned();
    assert_eq!(
        json(&rules(&["check", &all, "--output", "json"], ""))["set_aside"],
        Value::Array(Vec::new())
    );
}
