//! The built-in rules on real logs: what they find among attacks, and how seldom they cry wolf.
//!
//! Needs the public data that `THREATSTREAM_CORPORA` points to; without it, each test says that it was skipped.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value as Json;

use threatstream_detection::enrich::Networks;
use threatstream_detection::judge::JudgeState;
use threatstream_detection::sigma::RuleSet;
use threatstream_detection::{Detector, Incoming, pack};
use threatstream_domain::{MarkKey, Timestamp};

fn corpus(name: &str) -> Option<Vec<Json>> {
    let Some(root) = std::env::var_os("THREATSTREAM_CORPORA") else {
        eprintln!("skipped: THREATSTREAM_CORPORA is not set, {name} is not scanned");
        return None;
    };
    let file = std::fs::File::open(PathBuf::from(root).join(name)).expect("the corpus exists");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("the corpus is gzip");
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).expect("the corpus is JSON lines"))
            .collect(),
    )
}

fn load() -> RuleSet {
    RuleSet::load(pack::builtin().map(|(name, text)| (Cow::Borrowed(name), Cow::Borrowed(text))))
}

/// What the rules say of lines in their order: threats by title, each with whom it is about.
struct Findings {
    detector: Detector,
    state: JudgeState,
    threats: BTreeMap<String, BTreeSet<String>>,
    lines: usize,
    read: u64,
}

impl Findings {
    fn new() -> Self {
        Self {
            detector: Detector::new(Arc::new(load()), Networks::default(), MarkKey::new("key")),
            state: JudgeState::default(),
            threats: BTreeMap::new(),
            lines: 0,
            read: 0,
        }
    }

    fn look(&mut self, line: &str) -> bool {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let incoming = Incoming {
            value: line.as_bytes(),
            mark: None,
            logged_at: now,
            origin: ("raw", 0, self.read),
        };
        self.read += 1;
        let Ok(opened) = self.detector.open(incoming) else {
            return false;
        };
        let mut fired = false;
        let mut matches = self.detector.examine(&opened);
        while let Some(found) = matches.pop() {
            let entity = found.entity.clone();
            let (_, judged) = self.state.judge(&[found], &HashMap::new(), now, usize::MAX);
            for (threat, _) in judged.threats.into_iter().chain(judged.suppressed) {
                fired = true;
                let rules = self.detector.rules();
                let id = &threat.rule_ids[0];
                let title = rules.rule(id).map(|rule| &rule.title);
                let title = title.or_else(|| rules.correlation(id).map(|own| &own.title)).unwrap();
                self.threats.entry(title.clone()).or_default().insert(entity.clone());
            }
            matches.extend(judged.chained);
        }
        let _ = self.state.take_delta();
        self.lines += usize::from(fired);
        fired
    }

    fn print(&self, name: &str) {
        println!("{name}: {} lines completed a threat", self.lines);
        for (title, sources) in &self.threats {
            println!(
                "  {title}: {} sources, {:?}",
                sources.len(),
                sources.iter().take(6).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn ordinary_logs_yield_next_to_nothing() {
    let Some(records) = corpus("auth-and-background/background.jsonl.gz") else {
        return;
    };
    let mut findings = Findings::new();
    for record in &records {
        let line = record["input"].as_str().unwrap();
        if findings.look(line) {
            println!("  {line:.300}");
        }
    }
    findings.print("background");
    // The web log is of a public server, with a few scanners' requests in it.
    assert!(
        findings.lines * 1000 <= records.len() * 2,
        "{} of {} lines",
        findings.lines,
        records.len()
    );
}

#[test]
fn brute_force_in_a_real_auth_log_is_found_by_address() {
    let Some(records) = corpus("auth-and-background/mixed_auth.jsonl.gz") else {
        return;
    };
    let mut findings = Findings::new();
    for record in &records {
        findings.look(record["input"].as_str().unwrap());
    }
    findings.print("mixed_auth");
    let fast = &findings.threats["SSH Brute Force"];
    for address in ["112.95.230.3", "103.99.0.122", "181.25.206.27"] {
        assert!(fast.contains(address), "{address} is among {fast:?}");
    }
    assert!(
        findings
            .threats
            .contains_key("SSH Password Spraying or User Enumeration")
    );
    assert!(findings.threats.contains_key("SSH Brute Force by Host Name"));
    // Who logs in a hundred times and mistypes now and then is nobody's attacker.
    for address in ["85.245.107.41", "95.93.96.191", "119.137.62.142"] {
        let mut named = findings.threats.iter().filter(|(_, sources)| sources.contains(address));
        assert!(named.next().is_none(), "{address} only logs in");
    }
}

#[test]
fn behaviours_in_web_and_auth_logs_are_found() {
    let Some(records) = corpus("auth-and-background/sequence_scenarios.jsonl.gz") else {
        return;
    };
    let (mut found, mut all, mut missed) = (0, 0, Vec::new());
    for record in &records {
        let kind = record["log_type"].as_str().unwrap_or("");
        let input = record["input_log"].as_str().unwrap();
        if !["nginx", "apache2", "aws-cloudtrail"].contains(&kind) && !input.contains("sshd") {
            continue;
        }
        let expected = record["expected"]["alert_count"].as_u64().unwrap_or(0) > 0;
        let mut findings = Findings::new();
        for line in input.lines() {
            findings.look(line);
        }
        all += 1;
        if expected != findings.threats.is_empty() {
            found += 1;
        } else {
            missed.push(format!("{} {:.180}", record["id"], input));
        }
    }
    println!("sequence_scenarios: {found} of {all} as expected");
    for line in &missed {
        println!("  missed {line}");
    }
    assert!(found * 10 >= all * 6, "{found} of {all}");
}

#[test]
fn near_misses_of_published_cloud_rules_are_mostly_left_alone() {
    let Some(records) = corpus("cloud/labelled_cloud.jsonl.gz") else {
        return;
    };
    let mut by_label: BTreeMap<(bool, bool), usize> = BTreeMap::new();
    for record in &records {
        let Some(label) = record["expected"]["match"].as_bool() else {
            continue;
        };
        if !matches!(record["log_type"].as_str(), Some("AWS.CloudTrail" | "GCP.AuditLog")) {
            continue;
        }
        let line = record["event"].to_string();
        let mut findings = Findings::new();
        let fired = findings.look(&line);
        if fired {
            println!(
                "  {label} {} {} by {:?}",
                record["expected"]["rule_id"],
                record["expected"]["severity"],
                findings.threats.keys()
            );
        }
        *by_label.entry((label, fired)).or_default() += 1;
    }
    println!("labelled_cloud (label, fired): {by_label:?}");
    let count = |label, fired| by_label.get(&(label, fired)).copied().unwrap_or(0);
    assert!(count(true, true) >= 18, "{by_label:?}");
    assert!(
        count(false, true) * 100 <= (count(false, true) + count(false, false)) * 8,
        "{by_label:?}"
    );
}

#[test]
fn attacks_of_the_core_rule_set_in_the_request_line_are_found() {
    let Some(records) = corpus("web/crs_requests.jsonl.gz") else {
        return;
    };
    let mut by_label: BTreeMap<(String, bool, bool), usize> = BTreeMap::new();
    for record in &records {
        let request = &record["request"];
        let (Some(uri), Some(attack)) = (request["uri"].as_str(), record["expected"]["attack"].as_bool()) else {
            continue;
        };
        // What the request line does not hold, an access log does not show.
        if !uri.contains(['?', '%']) && !uri.contains("..") {
            continue;
        }
        let method = request["method"].as_str().unwrap_or("GET");
        let line = format!(
            "203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] \"{method} {uri} HTTP/1.1\" 200 1 \"-\" \"Mozilla/5.0\""
        );
        let mut findings = Findings::new();
        let fired = findings.look(&line);
        let family = record["expected"]["category"]
            .as_str()
            .or(record["expected"]["family"].as_str())
            .unwrap_or("all");
        *by_label.entry((family.to_owned(), attack, fired)).or_default() += 1;
        if attack != fired && std::env::var_os("SHOW").is_some() {
            println!("  attack {attack} fired {fired} {family}: {uri:.200}");
        }
    }
    println!("crs_requests (family, attack, fired): {by_label:?}");
    assert!(
        by_label
            .iter()
            .any(|((_, attack, fired), count)| *attack && *fired && *count > 20),
        "{by_label:?}"
    );
}
