//! Matches a second through judge while 100,000 groups have open windows, and what the state takes: in memory, and saved.

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use threatstream_detection::judge::JudgeState;
use threatstream_detection::sigma::{Bound, Comparison, Condition};
use threatstream_detection::{Counts, Match, Measure, Observed, Verdict, Window};
use threatstream_domain::{Severity, ThreatType, Timestamp};

const KEYS: u64 = 100_000;
const NOW: i64 = 1_800_000_000;
/// Matches that are judged together, as a read of the log brings them.
const BATCH: usize = 1_000;
/// As many as a topic has in production.
const PARTITIONS: u64 = 6;

fn found(event: u64, key: u64, counts: Counts, condition: Condition) -> Match {
    let address = format!("10.{}.{}.{}", key >> 16, key >> 8 & 255, key & 255);
    let raw = format!(
        "<38>1 2026-11-22T09:00:00Z web-1 sshd 4 - - Failed password for root from {address} port {event} ssh2"
    );
    let at = Timestamp::from_secs(NOW);
    Match {
        fingerprint: format!("{event:032x}"),
        event: Observed {
            event_id: format!("e{event}"),
            timestamp: at,
            received_at: at,
            format: "syslog".into(),
            source_ip: Some(address.clone()),
            source_zone: None,
            destination_ip: None,
            destination_port: None,
            user: Some("root".into()),
            host: Some("web-1".into()),
            raw,
            truncated: false,
        },
        rule_id: "057d33d4-7c2d-5b63-ab0a-8fbe9f55a19f".into(),
        verdict: Verdict {
            id: "64cefd56-3edd-5337-94bd-664cd248d812".into(),
            title: "SSH Brute Force".into(),
            level: Severity::High,
            threat_type: ThreatType::BruteForce,
            techniques: vec!["T1110.001".into()],
            recommended_actions: Vec::new(),
            confidence: 0.9,
        },
        evidence: vec![("event.outcome".into(), "failure".into())],
        window: Some(Window {
            counts,
            condition,
            timespan_seconds: 600,
            group: vec![("source.ip".into(), address.clone())],
            alone: true,
            feeds: Vec::new(),
        }),
        entity: address,
        simulation_id: None,
        rules_hash: "0123456789abcdef".into(),
    }
}

type Kind = (&'static str, fn(u64) -> Counts, fn() -> Condition);

fn beyond() -> Condition {
    Condition::Bounds(vec![Bound {
        is: Comparison::Gt,
        value: 1e12,
    }])
}

fn in_order(event: u64) -> Counts {
    Counts::Rule {
        step: u8::from(event.is_multiple_of(2)),
        steps: 3,
        ordered: true,
    }
}

fn number(event: u64, measure: Measure) -> Counts {
    #[expect(clippy::cast_precision_loss, reason = "any number does")]
    Counts::Number {
        field: "bytes".into(),
        value: (event % 1000) as f64,
        measure,
    }
}

const KINDS: &[Kind] = &[
    (
        "event_count",
        |_| Counts::Event,
        || {
            Condition::Bounds(vec![Bound {
                is: Comparison::Gte,
                value: 1000.0,
            }])
        },
    ),
    ("temporal_ordered", in_order, || Condition::Rules(vec![0b111])),
    ("value_sum", |event| number(event, Measure::Sum), beyond),
    (
        "value_percentile",
        |event| number(event, Measure::Percentile(95.0)),
        beyond,
    ),
];

/// The process's memory in bytes; `None` where the system does not tell.
fn memory() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split_whitespace().nth(1)?.parse::<u64>().ok()? * 4096)
}

fn judge(states: &mut [JudgeState], partition: usize, matches: &[Match]) {
    let cases = HashMap::new();
    let (taken, judged) = states[partition].judge(matches, &cases, Timestamp::from_secs(NOW), usize::MAX);
    assert_eq!((taken, judged.threats.len()), (matches.len(), 0));
    black_box(states[partition].take_delta());
}

fn live_keys(c: &mut Criterion) {
    let mut group = c.benchmark_group("judge_100k_keys");
    group.sample_size(20);
    for (name, counts, condition) in KINDS {
        let before = memory();
        let mut states: Vec<JudgeState> = (0..PARTITIONS).map(|_| JudgeState::default()).collect();
        let mut event = 0;
        // Matches of one partition, as its key would send them there.
        let mut next = |partition: u64| -> Vec<Match> {
            (0..BATCH as u64)
                .map(|_| {
                    event += 1;
                    // A step that is prime to their number visits all keys in turn, far apart.
                    let key = event * 7_919 % (KEYS / PARTITIONS) * PARTITIONS + partition;
                    found(event, key, counts(event), condition())
                })
                .collect()
        };
        for _ in 0..3 * KEYS / PARTITIONS / BATCH as u64 + 1 {
            for partition in 0..PARTITIONS {
                let matches = next(partition);
                judge(&mut states, partition as usize, &matches);
            }
        }
        let live: usize = states.iter().map(|state| state.size()["windows"]).sum();
        let saved: usize = states
            .iter_mut()
            .flat_map(JudgeState::snapshot)
            .map(|(_, bytes)| bytes.len())
            .sum();
        let grown = before
            .zip(memory())
            .map(|(before, after)| after.saturating_sub(before) >> 20);
        eprintln!(
            "{name}: {live} live keys, about {grown:?} MiB in memory, {} MiB saved",
            saved >> 20
        );
        let mut partition = 0;
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(*name, |b| {
            b.iter_batched(
                || {
                    partition = (partition + 1) % PARTITIONS;
                    (partition as usize, next(partition))
                },
                |(partition, matches)| judge(&mut states, partition, &matches),
                criterion::BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, live_keys);
criterion_main!(benches);
