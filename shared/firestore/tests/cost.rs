//! What production would bill, by the public price list.

mod support;

use std::time::Duration;

use bytes::Bytes;
use threatstream_backend::conformance::samples::{alert, alert_write, commit, frame, new_threat, noon, threat};
use threatstream_backend::{Alerts, Checkpoint, Commit, Leases, PartitionId};
use threatstream_domain::{MinuteStats, Tally};
use threatstream_firestore::{FirestoreStore, Usage};

/// Dollars for 100,000 reads, writes and deletes.
const PRICES: [f64; 3] = [0.03, 0.09, 0.01];
const TTL: Duration = Duration::from_secs(30);
/// A partition's deltas are compacted after so many commits.
const COMPACTED_EVERY: u64 = 64;

fn dollars(usage: Usage, expiring: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let counts = [usage.reads, usage.writes, usage.deletes + expiring].map(|count| count as f64);
    counts
        .iter()
        .zip(PRICES)
        .map(|(count, price)| count * price / 100_000.0)
        .sum()
}

fn id(topic: &str) -> PartitionId {
    PartitionId {
        topic: topic.to_owned(),
        partition: 0,
    }
}

async fn take(store: &FirestoreStore, id: &PartitionId) -> Checkpoint {
    store.acquire(id, 1, "analyzer", TTL, noon()).await.unwrap().unwrap()
}

fn state(commit: &mut Commit, number: u64, size: usize) {
    commit.state.delta = Bytes::from(vec![7; size]);
    if number % COMPACTED_EVERY == COMPACTED_EVERY - 1 {
        commit.state.snapshot = Some((0..4).map(|slot| (slot, Bytes::from(vec![7; 200_000]))).collect());
    }
}

/// A batch of events of which so many became threats, as the analyzer's two halves commit it; how many documents expire one day.
async fn batch(store: &FirestoreStore, held: &mut [Checkpoint; 2], number: u64, events: u64, threats: u64) -> u64 {
    let minute = noon().minute() + i64::try_from(number / 60).unwrap();
    let name = format!("b{number}");
    let mut matched = commit(&id("logs"), &held[0], &name, events);
    matched.tally = Tally {
        clean: events - threats,
        matched: threats,
        ..Tally::default()
    };
    matched.minutes = vec![MinuteStats {
        minute,
        processed: events,
        ..MinuteStats::default()
    }];
    state(&mut matched, number, 16 * usize::try_from(events).unwrap());
    held[0].next_offset += events;
    store.commit(matched).await.unwrap();
    if threats == 0 {
        return 0;
    }
    // Threats gather in alerts: some forty in each.
    let grouped = format!("ALT-{}", number / 8);
    let cases = store.cases(std::slice::from_ref(&grouped)).await.unwrap();
    let mut judged = commit(&id("matches"), &held[1], &name, threats);
    judged.threats = (0..threats)
        .map(|at| new_threat(threat(&format!("THR-{number}-{at}"))))
        .collect();
    judged.unpublished = judged.threats.iter().map(|new| new.threat.id.clone()).collect();
    judged.alerts = vec![alert_write(
        alert(&grouped),
        cases.get(&grouped).map_or(0, |case| case.version),
    )];
    judged.minutes = vec![MinuteStats {
        minute,
        threats: [0, 0, 0, threats, 0],
        ..MinuteStats::default()
    }];
    judged.frames = (0..=threats).map(frame).collect();
    state(&mut judged, number, 400);
    held[1].next_offset += threats;
    store.commit(judged).await.unwrap();
    // Threats, originals, the record of the feed.
    2 * threats + 1
}

async fn run(batches: u64, events: u64, threat_every: u64) -> Option<(Usage, u64)> {
    let store = support::fresh_store()?;
    let mut held = [take(&store, &id("logs")).await, take(&store, &id("matches")).await];
    let mut expiring = 0;
    for number in 0..batches {
        let threats = (number + 1) * events / threat_every - number * events / threat_every;
        expiring += batch(&store, &mut held, number, events, threats).await;
    }
    // Two partitions' counters by minute, and the alerts.
    expiring += 2 * batches.div_ceil(60) + batches.div_ceil(8);
    Some((store.usage(), expiring))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_events_cost_less_than_two_cents() {
    let Some((usage, expiring)) = run(200, 500, 100).await else {
        return;
    };
    let cost = dollars(usage, expiring);
    println!("100,000 events, 1% threats, batches of 500: {usage:?}, {expiring} to expire: ${cost:.4}");
    assert!(usage.writes > 3_000, "too little was counted: {usage:?}");
    assert!(cost < 0.02, "{cost}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_a_second_costs_little_a_day() {
    const SECONDS: u64 = 600;
    let Some((usage, expiring)) = run(SECONDS, 1, 100).await else {
        return;
    };
    let a_day = dollars(usage, expiring) * 86_400.0 / 600.0;
    println!("an event a second, each in a batch of its own, 1% threats: {usage:?} in ten minutes: ${a_day:.2} a day");
    assert!(a_day < 0.5, "{a_day}");
}
