//! Events a second through the rules: the built-in ones over mixed traffic, and correlations with many live keys.
//!
//! With `THREATSTREAM_CORPORA` set, also the published rules over real Windows events. Memory is printed.

#[path = "../tests/sigma_support/mod.rs"]
mod sigma_support;

mod traffic;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use sigma_support::{captures, corpora, event, load, load_files, rule_files, source};
use threatstream_detection::decode::{Format, decode};
use threatstream_detection::enrich::Networks;
use threatstream_detection::judge::JudgeState;
use threatstream_detection::sigma::RuleSet;
use threatstream_detection::{Detector, Incoming, Match, pack};
use threatstream_domain::{MarkKey, Timestamp};

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

fn received_at() -> Timestamp {
    Timestamp::from_secs(1_795_338_000)
}

fn incoming(offset: u64, line: &str) -> Incoming<'_> {
    Incoming {
        value: line.as_bytes(),
        mark: None,
        logged_at: received_at(),
        origin: ("raw", 0, offset),
    }
}

/// The built-in rules over lines of 500 bytes, from their bytes to the verdict; the clean ones cost a scan.
fn pack(c: &mut Criterion) {
    let files = pack::builtin().map(|(name, yaml)| (Cow::from(name), Cow::from(yaml)));
    let rules = Arc::new(RuleSet::load(files));
    let detector = Detector::new(Arc::clone(&rules), Networks::default(), MarkKey::new("key"));
    let lines = traffic::lines(4_000);
    let opened: Vec<_> = (0..)
        .zip(&lines)
        .map(|(offset, line)| detector.open(incoming(offset, line)).unwrap())
        .collect();
    let hits = opened
        .iter()
        .filter(|opened| !detector.examine(opened).is_empty())
        .count();
    eprintln!(
        "pack: {} rules, {} lines, {hits} with a match",
        rules.rules().len(),
        lines.len()
    );
    let mut group = c.benchmark_group("pack");
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function("might_match", |b| {
        b.iter(|| lines.iter().filter(|line| rules.might_match(line.as_bytes())).count());
    });
    group.bench_function("bytes to verdict", |b| {
        b.iter(|| {
            opened
                .iter()
                .map(|opened| detector.examine(opened).len())
                .sum::<usize>()
        });
    });
    group.bench_function("record to verdict", |b| {
        b.iter(|| {
            let records = (0..)
                .zip(&lines)
                .map(|(offset, line)| detector.open(incoming(offset, line)).unwrap());
            records.map(|opened| detector.examine(&opened).len()).sum::<usize>()
        });
    });
    group.finish();
}

/// Every published rule over Windows events, from their bytes to the verdict.
fn published(c: &mut Criterion) {
    let Some(corpora) = corpora() else { return };
    let files: Vec<_> = rule_files(&corpora.join("sigmahq-rules.tar.gz"))
        .into_iter()
        .filter(|(name, _)| name.starts_with("rules/"))
        .collect();
    let before = resident();
    let set = load_files(&files);
    let compiled = resident();
    let captured = captures(&corpora);
    let lines: Vec<&str> = captured
        .lines()
        .filter(|line| decode(line, Format::Windows, received_at()).format == "windows")
        .collect();
    let verdicts = |lines: &[&str]| -> usize {
        lines
            .iter()
            .map(|line| set.matches(&decode(line, Format::Auto, received_at())).len())
            .sum()
    };
    let kept = resident();
    let found = verdicts(&lines);
    eprintln!(
        "published: {} rules in {} MiB, {} events of {} bytes on average, {found} matches with {} MiB more",
        set.rules().len(),
        compiled.saturating_sub(before),
        lines.len(),
        captured.len() / lines.len().max(1),
        resident().saturating_sub(kept),
    );
    let mut group = c.benchmark_group("published");
    group.sample_size(10);
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function("decode", |b| {
        b.iter(|| {
            let fields = lines
                .iter()
                .map(|line| decode(line, Format::Auto, received_at()).original.0.len());
            fields.sum::<usize>()
        });
    });
    group.bench_function("bytes to verdict, one thread", |b| b.iter(|| verdicts(&lines)));
    group.bench_function("bytes to verdict, two threads", |b| {
        let (first, second) = lines.split_at(lines.len() / 2);
        b.iter(|| {
            std::thread::scope(|scope| {
                let other = scope.spawn(|| verdicts(second));
                verdicts(first) + other.join().unwrap()
            })
        });
    });
    group.finish();
    let mut group = c.benchmark_group("compile");
    group.sample_size(10);
    group.bench_function("published", |b| b.iter(|| load_files(&files).rules().len()));
    group.finish();
}

/// Failed logins from as many addresses, none of which fails often enough: every match finds its window among theirs.
const LIVE_KEYS: usize = 100_000;
const COUNTED: &str = "
title: Failed password
id: failed
logsource: { product: linux, service: sshd }
detection:
    selection: ['Failed password']
    condition: selection
---
title: Guessing
id: guessing
correlation:
    type: event_count
    rules: [failed]
    group-by: [source.ip]
    timespan: 1h
    condition: { gte: 1000 }
";

fn correlations(c: &mut Criterion) {
    let set = Arc::new(load(&[COUNTED]));
    assert!(set.set_aside().is_empty(), "{:?}", set.set_aside());
    let detector = Detector::new(set, Networks::default(), MarkKey::new("key"));
    let found = |round: usize| -> Vec<Match> {
        let line = |key: usize| {
            let address = std::net::Ipv4Addr::from(0x0b00_0000 + u32::try_from(key).unwrap());
            format!(
                "2026-11-22T08:{:02}:58Z web-1 sshd[{key}]: Failed password for root from {address} port 50538 ssh2",
                round % 60
            )
        };
        (0..LIVE_KEYS)
            .flat_map(|key| {
                let line = line(key);
                let opened = detector.open(incoming((round * LIVE_KEYS + key) as u64, &line));
                detector.examine(&opened.unwrap())
            })
            .collect()
    };
    let (first, second) = (found(1), found(2));
    let mut state = JudgeState::default();
    // In batches, as they are stored.
    let judge = |state: &mut JudgeState, matches: &[Match]| {
        let mut rest = matches;
        while !rest.is_empty() {
            let (taken, judged) = state.judge(rest, &HashMap::new(), received_at(), usize::MAX);
            assert!(taken > 0 && judged.threats.is_empty());
            black_box(state.take_delta());
            rest = &rest[taken..];
        }
    };
    judge(&mut state, &first);
    eprintln!("correlations: {} matches, {:?}", first.len(), state.size());
    let snapshot = state.snapshot();
    let loaded = || JudgeState::load(&snapshot, &[] as &[&[u8]]).unwrap();
    let mut group = c.benchmark_group("correlations");
    group.sample_size(10);
    group.throughput(Throughput::Elements(second.len() as u64));
    group.bench_function(BenchmarkId::new("judge, live keys", LIVE_KEYS), |b| {
        b.iter_batched(loaded, |mut state| judge(&mut state, &second), BatchSize::PerIteration);
    });
    group.finish();
}

/// Mebibytes of this process in memory, as Linux counts them.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kibibytes.unwrap_or(0) / 1024
}

// The published rules first: what they take is measured in memory that nothing has used before.
criterion_group!(benches, published, synthetic, pack, correlations);
criterion_main!(benches);
