//! The decoders beside what the vendors' own pipelines make of the same lines.
//!
//! Needs the public data that `THREATSTREAM_CORPORA` points to; without it, each test says that it was skipped.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use serde_json::Value as Json;
use threatstream_detection::decode::{Format, decode};
use threatstream_detection::{Event, Value};
use threatstream_domain::Timestamp;

fn corpus(name: &str) -> Option<Vec<Json>> {
    let Some(root) = std::env::var_os("THREATSTREAM_CORPORA") else {
        eprintln!("skipped: THREATSTREAM_CORPORA is not set, {name} is not compared");
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

/// The published lines were read in 2024, which is the year that a time without one got.
fn received_at() -> Timestamp {
    "2024-12-30T00:00:00Z".parse().unwrap()
}

const CORE: &[&str] = &[
    "@timestamp",
    "source.ip",
    "source.port",
    "source.domain",
    "user.name",
    "user.effective.name",
    "user.id",
    "user.target.name",
    "group.name",
    "host.hostname",
    "process.name",
    "process.pid",
    "event.action",
    "event.outcome",
    "event.category",
    "event.id",
    "event.provider",
    "http.request.method",
    "http.request.referrer",
    "http.response.status_code",
    "http.response.body.bytes",
    "http.version",
    "url.original",
    "url.path",
    "url.domain",
    "user_agent.original",
    "cloud.account.id",
    "cloud.region",
    "cloud.project.id",
    "client.user.email",
    "service.name",
    "log.level",
    "log.syslog.priority",
];

/// What the vendor's pipeline published under a dotted name.
fn published<'j>(document: &'j Json, name: &str) -> Option<&'j Json> {
    let value = name.split('.').try_fold(document, |value, part| value.get(part))?;
    (!value.is_null() && value != "").then_some(value)
}

fn ours(event: &Event<'_>, name: &str) -> Option<Json> {
    if name == "@timestamp" {
        return event.time.map(|time| Json::String(time.to_string()));
    }
    event.ecs.get(name).map(json)
}

fn json(value: &Value<'_>) -> Json {
    match value {
        Value::List(values) => Json::Array(values.iter().map(json).collect()),
        Value::Int(number) => (*number).into(),
        other => other.text().map_or(Json::Null, |text| Json::String(text.into_owned())),
    }
}

fn agree(theirs: &Json, ours: &Json) -> bool {
    match (theirs, ours) {
        (Json::String(a), Json::String(b)) => a == b,
        (Json::Array(a), Json::Array(b)) => a.iter().any(|a| b.contains(a)),
        _ => theirs == ours,
    }
}

/// Compares a vendor's lines field by field; answers how many of the published core fields agree.
fn compare(name: &str, format: &str) -> Option<(usize, usize)> {
    let records = corpus(&format!("vendor-logs/{name}.jsonl.gz"))?;
    let (mut agreeing, mut all) = (0, 0);
    let mut differing: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for record in &records {
        let (Some(input), Some(theirs)) = (
            record["input"].as_str(),
            record.get("expected_ecs").filter(|ecs| !ecs.is_null()),
        ) else {
            continue;
        };
        let input = if input.trim_start().starts_with('{') {
            input
        } else {
            input.lines().next().unwrap_or("")
        };
        let event = decode(input, Format::Auto, received_at());
        let named = decode(input, format.parse().unwrap(), received_at());
        assert_eq!(named.format, format, "the decoder knows its own line: {input}");
        assert_ne!(event.format, "text", "some decoder knows it: {input}");
        for field in CORE {
            let Some(expected) = published(theirs, field) else {
                continue;
            };
            all += 1;
            let found = ours(&named, field);
            if found.as_ref().is_some_and(|found| agree(expected, found)) {
                agreeing += 1;
            } else {
                let entry = differing.entry(field).or_default();
                entry.0 += 1;
                entry.1 = format!("{expected} published, {found:?} here: {input:.160}");
            }
        }
    }
    println!("{name}: {agreeing} of {all} published core fields agree");
    for (field, (count, example)) in differing {
        println!("  {field} differs {count} times: {example}");
    }
    Some((agreeing, all))
}

fn assert_share(name: &str, format: &str, percent: usize) {
    if let Some((agreeing, all)) = compare(name, format) {
        assert!(all > 50, "{name} has something to compare");
        assert!(
            agreeing * 100 >= all * percent,
            "{agreeing} of {all} fields of {name} agree, {percent} % were promised"
        );
    }
}

#[test]
fn syslog_agrees_with_the_published_form() {
    assert_share("system.auth", "syslog", 97);
}

#[test]
fn nginx_agrees_with_the_published_form() {
    assert_share("nginx.access", "nginx", 99);
}

#[test]
fn apache_agrees_with_the_published_form() {
    assert_share("apache.access", "apache", 97);
}

#[test]
fn gcp_audit_agrees_with_the_published_form() {
    assert_share("gcp.audit", "gcp_audit", 97);
}

#[test]
fn cloudtrail_agrees_with_the_published_form() {
    assert_share("aws.cloudtrail", "cloudtrail", 97);
}

#[test]
fn real_lines_are_known_by_the_right_decoder() {
    let Some(records) = corpus("auth-and-background/background.jsonl.gz") else {
        return;
    };
    let mut seen: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for record in &records {
        let format = record["format"].as_str().unwrap().to_owned();
        let event = decode(record["input"].as_str().unwrap(), Format::Auto, received_at());
        *seen.entry((format, event.format)).or_default() += 1;
    }
    println!("{seen:?}");
    let count = |vendor: &str, ours| seen.get(&(vendor.to_owned(), ours)).copied().unwrap_or(0);
    assert!(count("apache_combined", "nginx") + count("apache_combined", "apache") >= 4_690);
    assert_eq!(count("apache_error", "apache"), 700);
    assert_eq!(count("nginx_plus_json", "json"), 100);
    assert!(count("macos_syslog", "syslog") >= 1_090);

    let Some(records) = corpus("auth-and-background/mixed_auth.jsonl.gz") else {
        return;
    };
    let others = records
        .iter()
        .filter(|record| decode(record["input"].as_str().unwrap(), Format::Auto, received_at()).format != "syslog");
    assert_eq!(others.count(), 0, "every line of an auth log is syslog");
}
