//! Acknowledged appends, each on the disk before it counts: single records from 64 callers at once, and blocks of 1,000.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;
use threatstream_backend::conformance::samples::record;
use threatstream_backend::{Durability, EventLog, Record};
use threatstream_embedded::{Options, open};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const TOPIC: &str = "security.raw.logs";
const CALLERS: u64 = 64;

fn events(count: usize) -> Vec<Record> {
    let raw =
        "Mar 27 16:16:42 gate sshd[4711]: Failed password for invalid user admin from 203.0.113.7 port 50022 ssh2";
    (0..count)
        .map(|at| {
            record(
                &format!("event-{at}"),
                &format!("{{\"event_id\":\"event-{at}\",\"format\":\"auto\",\"raw\":\"{raw} {at}\"}}"),
            )
        })
        .collect()
}

fn appends(criterion: &mut Criterion) {
    let folder = TempDir::new().unwrap();
    let runtime = Runtime::new().unwrap();
    let embedded = Arc::new(open(Options::new(folder.path())).unwrap());
    let mut group = criterion.benchmark_group("promised append");
    group.measurement_time(Duration::from_secs(5)).sample_size(10);

    group.throughput(Throughput::Elements(CALLERS));
    group.bench_function("single records, 64 callers", |bencher| {
        bencher.to_async(&runtime).iter_custom(|rounds| {
            let embedded = Arc::clone(&embedded);
            async move {
                let started = Instant::now();
                let mut callers = JoinSet::new();
                for caller in 0..CALLERS {
                    let embedded = Arc::clone(&embedded);
                    callers.spawn(async move {
                        for round in 0..rounds {
                            let one = vec![record(
                                &format!("event-{caller}-{round}"),
                                "Failed password for root from 203.0.113.7",
                            )];
                            black_box(embedded.append(TOPIC, one, Durability::Promised).await.unwrap());
                        }
                    });
                }
                callers.join_all().await;
                started.elapsed()
            }
        });
    });

    group.throughput(Throughput::Elements(1000));
    group.bench_function("blocks of 1,000 records", |bencher| {
        bencher.to_async(&runtime).iter_batched(
            || events(1000),
            |records| {
                let embedded = Arc::clone(&embedded);
                async move { embedded.append(TOPIC, records, Durability::Promised).await.unwrap() }
            },
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, appends);
criterion_main!(benches);
