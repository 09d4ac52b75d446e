//! `threatstream scan` on files as they come.

use std::io::Write as _;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::harness::command;

fn scan(file: &Path, arguments: &[&str]) -> Output {
    command()
        .arg("scan")
        .arg(file)
        .args(arguments)
        .output()
        .expect("scan runs")
}

fn findings(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

const INJECTION: &str = r#"203.0.113.5 - - [20/Nov/2026:09:00:00 +0000] "GET /items?id=1%27%20UNION%20SELECT%20password%20FROM%20users-- HTTP/1.1" 200 5 "-" "Mozilla/5.0""#;

#[test]
fn a_finding_names_its_file_and_line_and_repeats_count() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("access.log");
    let lines: Vec<&str> =
        std::iter::once("198.51.100.1 - - [20/Nov/2026:09:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"x\"")
            .chain(std::iter::repeat_n(INJECTION, 14))
            .collect();
    std::fs::write(&file, lines.join("\n")).expect("written");
    let found = findings(&scan(&file, &["--output", "ndjson"]));
    let injections: Vec<&Value> = found
        .iter()
        .filter(|finding| finding["threat_type"] == "SQL_INJECTION")
        .collect();
    assert!(injections.len() >= 14, "{}", injections.len());
    assert_eq!(injections[0]["origin"]["line"], 2);
    assert_eq!(injections[0]["origin"]["file"], file.to_string_lossy().as_ref());
    assert!(injections.iter().any(|finding| finding["suppressed"] == true));
    let ids: std::collections::BTreeSet<&str> = found.iter().filter_map(|finding| finding["id"].as_str()).collect();
    assert_eq!(ids.len(), found.len(), "each has its own id");
}

#[test]
fn gzip_and_standard_input_are_read_alike() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("access.log.gz");
    let mut writer = flate2::write::GzEncoder::new(
        std::fs::File::create(&file).expect("a file"),
        flate2::Compression::fast(),
    );
    writeln!(writer, "{INJECTION}").expect("written");
    writer.finish().expect("written");
    assert!(!findings(&scan(&file, &["--output", "ndjson"])).is_empty());
}

#[test]
fn escapes_and_markup_in_a_line_come_out_inert() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("auth.log");
    let lines: String = (0..8)
        .map(|at| format!("<38>1 2026-11-20T09:00:0{at}Z \u{1b}[31mweb\u{9b}2J sshd 4 - - Failed password for invalid user <script>alert(1)</script>\u{1b}]0;owned\u{7} from 203.0.113.7 port 5053{at} ssh2\n"))
        .collect();
    std::fs::write(&file, lines).expect("written");
    for output in ["table", "json", "ndjson", "csv"] {
        let printed = scan(&file, &["--output", output]).stdout;
        let text = String::from_utf8(printed).expect("text");
        assert!(text.contains("BRUTE_FORCE"), "{output}: {text}");
        // Colours are ours to set only on a terminal, and this is none.
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n' && c != '\r'),
            "{output}: {text:?}"
        );
    }
}

#[test]
fn exit_codes_tell_what_happened() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("access.log");
    std::fs::write(&file, INJECTION).expect("written");
    assert_eq!(scan(&file, &[]).status.code(), Some(0));
    assert_eq!(scan(&file, &["--fail-on", "LOW"]).status.code(), Some(1));
    assert_eq!(scan(&data.path().join("missing.log"), &[]).status.code(), Some(3));
    let rules = data.path().join("broken.yml");
    std::fs::write(&rules, "title: [").expect("written");
    let rules = rules.to_string_lossy().into_owned();
    assert_eq!(
        scan(&file, &["--no-builtin-rules", "--rules", &rules]).status.code(),
        Some(2)
    );
}
