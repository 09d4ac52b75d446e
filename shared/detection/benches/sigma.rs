//! Events a second through the rules: from the bytes by the prefilter, and from decoded events to verdicts.
//!
//! With `THREATSTREAM_CORPORA` set, also the published rules over real Windows events.

#[path = "../tests/sigma_support/mod.rs"]
mod sigma_support;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value as Json, json};
use sigma_support::{corpora, event, load, load_files, output, rule_files, source};
use threatstream_detection::{Event, LogSource};

fn synthetic(c: &mut Criterion) {
    let mut group = c.benchmark_group("synthetic");
    let padding = "ordinary words of an ordinary request ".repeat(8);
    let json = json!({"CommandLine": format!("C:\\Windows\\app.exe {padding}"), "Image": "C:\\Windows\\app.exe", "EventID": 1, "User": "joe"});
    let raw = json.to_string();
    let event = event(&raw, &json, source(None, Some("test"), None));
    for count in [25, 250, 2_500] {
        let rules: Vec<String> = (0..count)
            .map(|n| format!("title: t\nid: r{n}\nlogsource: {{ product: test }}\ndetection:\n    a:\n        CommandLine|contains: [bad{n}x, worse{n}x]\n    b:\n        Image|endswith: '\\tool{n}.exe'\n    condition: a or b\n"))
            .collect();
        let set = load(&rules.iter().map(String::as_str).collect::<Vec<_>>());
        group.throughput(Throughput::Elements(1));
        group.bench_with_input(BenchmarkId::new("might_match", count), &set, |b, set| {
            b.iter(|| black_box(set.might_match(black_box(raw.as_bytes()))));
        });
        group.bench_with_input(BenchmarkId::new("matches", count), &set, |b, set| {
            b.iter(|| black_box(set.matches(black_box(&event)).len()));
        });
    }
    group.finish();
}

/// The log source of a Windows event, for the channels that most rules are about.
fn windows(event: &Json) -> LogSource {
    let number = event["EventID"].as_i64().unwrap_or(0);
    let channel = event["Channel"].as_str().unwrap_or_default().to_ascii_lowercase();
    let (category, service) = match channel.as_str() {
        "microsoft-windows-sysmon/operational" => {
            let category = match number {
                1 => "process_creation",
                3 => "network_connection",
                7 => "image_load",
                8 => "create_remote_thread",
                10 => "process_access",
                11 => "file_event",
                12 => "registry_event",
                13 => "registry_set",
                17 | 18 => "pipe_created",
                22 => "dns_query",
                _ => "other",
            };
            (Some(category), Some("sysmon"))
        }
        "microsoft-windows-powershell/operational" if number == 4104 => (Some("ps_script"), Some("powershell")),
        "microsoft-windows-powershell/operational" => (Some("ps_module"), Some("powershell")),
        "security" => (None, Some("security")),
        "system" => (None, Some("system")),
        _ => (None, None),
    };
    source(category, Some("windows"), service)
}

fn published(c: &mut Criterion) {
    let Some(corpora) = corpora() else { return };
    let files: Vec<_> = rule_files(&corpora.join("sigmahq-rules.tar.gz"))
        .into_iter()
        .filter(|(name, _)| name.starts_with("rules/"))
        .collect();
    let set = load_files(&files);
    let mut lines = String::new();
    for entry in std::fs::read_dir(corpora.join("windows")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "zip") && lines.len() < 40 << 20 {
            lines.push_str(&String::from_utf8_lossy(&output(
                "unzip",
                &["-p", path.to_str().unwrap()],
            )));
        }
    }
    let parsed: Vec<(&str, Json)> = lines
        .lines()
        .filter_map(|line| Some((line, serde_json::from_str(line).ok()?)))
        .collect();
    let events: Vec<Event<'_>> = parsed
        .iter()
        .map(|(raw, json)| event(raw, json, windows(json)))
        .collect();
    let bytes: usize = parsed.iter().map(|(raw, _)| raw.len()).sum();
    let found: usize = events.iter().map(|event| set.matches(event).len()).sum();
    eprintln!(
        "{} rules, {} events of {} bytes on average, {found} matches",
        set.rules().len(),
        events.len(),
        bytes / events.len().max(1)
    );
    let mut group = c.benchmark_group("published");
    group.sample_size(10);
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("matches", |b| {
        b.iter(|| events.iter().map(|event| set.matches(event).len()).sum::<usize>());
    });
    group.bench_function("matches, every rule of the log source", |b| {
        b.iter(|| {
            events
                .iter()
                .map(|event| set.matches_unfiltered(event).len())
                .sum::<usize>()
        });
    });
    group.finish();
    let mut group = c.benchmark_group("compile");
    group.sample_size(10);
    group.bench_function("published", |b| b.iter(|| load_files(&files).rules().len()));
    group.finish();
}

criterion_group!(benches, synthetic, published);
criterion_main!(benches);
