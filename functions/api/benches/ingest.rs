//! What a single POST and a body of a thousand lines cost, from the router to the promise of the embedded log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use threatstream_api::{Config, Dependencies, RuleSummary, build};
use threatstream_domain::Clock;
use threatstream_embedded::{Options, open};
use threatstream_runtime::{ServeConfig, Tickets, app};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Requests that are under way at once.
const CONNECTIONS: u64 = 64;
const LINES: u64 = 1000;

fn router(folder: &tempfile::TempDir) -> Router {
    let backends = open(Options::new(folder.path()))
        .expect("an empty folder can be opened")
        .backends();
    let rules = Arc::new(|| {
        Ok(RuleSummary {
            loaded: 1,
            set_aside: 0,
            rules_hash: String::new(),
            reload_failure: None,
        })
    });
    let dependencies = Dependencies {
        backends,
        clock: Clock::system(),
        rules,
        tickets: Tickets::random(),
    };
    app(build(Config::default(), dependencies), &ServeConfig::local())
}

fn event(number: u64) -> String {
    format!(
        r#"{{"event_id":"bench-{number}","timestamp":"2026-11-22T09:00:00Z","event_type":"login","source_ip":"203.0.113.7","destination_ip":"10.0.0.5","destination_port":22,"protocol":"TCP","payload":{{"user":"root","attempt":{number}}},"metadata":{{}}}}"#
    )
}

async fn post(router: Router, kind: &'static str, body: Bytes) {
    let request = Request::post("/api/events")
        .header("content-type", kind)
        .body(Body::from(body))
        .expect("a request");
    let response = router.oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), 202);
}

/// Sends `total` requests, as many at once as there are connections.
async fn send(
    router: &Router,
    total: u64,
    kind: &'static str,
    body: impl Fn() -> Bytes + Clone + Send + Sync + 'static,
) {
    let left = Arc::new(AtomicU64::new(total));
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS.min(total) {
        let (router, left, body) = (router.clone(), left.clone(), body.clone());
        connections.spawn(async move {
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                post(router.clone(), kind, body()).await;
            }
        });
    }
    while let Some(done) = connections.join_next().await {
        done.expect("a connection");
    }
}

fn ingest(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let router = runtime.block_on(async { router(&folder) });
    let mut group = criterion.benchmark_group("ingest");
    group.sample_size(10);

    let singles = 1000;
    let next = Arc::new(AtomicU64::new(0));
    group.throughput(Throughput::Elements(singles));
    group.bench_function("single_posts_over_64_connections", |bencher| {
        bencher.iter(|| {
            let next = next.clone();
            runtime.block_on(send(&router, singles, "application/json", move || {
                event(next.fetch_add(1, Ordering::Relaxed)).into()
            }));
        });
    });

    let bodies = 16;
    let ndjson: Bytes = (0..LINES).map(|number| event(number) + "\n").collect::<String>().into();
    group.throughput(Throughput::Elements(bodies * LINES));
    group.bench_function("ndjson_of_1000", |bencher| {
        bencher.iter(|| {
            let ndjson = ndjson.clone();
            runtime.block_on(send(&router, bodies, "application/x-ndjson", move || ndjson.clone()));
        });
    });
    let line = "Mar 27 13:08:09 host sshd[1]: Failed password for root from 203.0.113.7 port 4022 ssh2\n";
    let text: Bytes = line.repeat(1000).into();
    group.bench_function("text_of_1000", |bencher| {
        bencher.iter(|| {
            let text = text.clone();
            runtime.block_on(send(&router, bodies, "text/plain", move || text.clone()));
        });
    });
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
