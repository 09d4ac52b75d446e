//! The worker, on paused time: nothing here waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use threatstream_backend::{BackendError, ClusterInfo, Durability, EventLog, LogReader, Position, Record, Watermarks};
use threatstream_domain::{ForgedMark, MarkKey, SimulationStatus};

use super::{Deployment, KEY, Logged, at, running};
use crate::Config;

const TEN_SECONDS: &str = r#"{"attack_vector": "BRUTE_FORCE", "duration_seconds": 10, "target_eps": 40}"#;

/// The distinct lines by id, if each id came with one content.
fn distinct(logged: &[Logged]) -> BTreeMap<&str, &str> {
    let both: BTreeSet<(&str, &str)> = logged
        .iter()
        .map(|line| (line.event_id.as_str(), line.raw.as_str()))
        .collect();
    let distinct: BTreeMap<&str, &str> = both.iter().copied().collect();
    assert_eq!(both.len(), distinct.len(), "an id came with two contents");
    distinct
}

#[tokio::test(start_paused = true)]
async fn a_run_sends_what_it_promises_and_tells_about_it() {
    let deployment = Deployment::new();
    let process = deployment.process(Config::default());
    let head = deployment.backends.store.head().await.unwrap();
    let started = process.start(TEN_SECONDS).await;
    assert_eq!(
        (started.status, started.events_generated),
        (SimulationStatus::Running, 0)
    );

    let half = process.sent(200).await;
    assert!((4..=5).contains(&half.elapsed_seconds), "{half:?}");
    assert!((38.0..=42.0).contains(&half.current_eps), "{half:?}");
    process.ended().await;

    let ended = process.state().await;
    assert_eq!(ended.status, SimulationStatus::Completed);
    assert_eq!((ended.events_generated, ended.elapsed_seconds), (400, 10));
    assert!(ended.current_eps.abs() < f64::EPSILON);
    assert_eq!(ended.simulation_id, started.simulation_id);
    let logged = deployment.logged().await;
    assert_eq!((logged.len(), distinct(&logged).len()), (400, 400));

    let told = deployment.told(&head).await;
    assert_eq!(told.first(), Some(&started));
    assert_eq!(told.last(), Some(&ended));
    assert!((10..=12).contains(&told.len()), "{}", told.len());
    assert!(told.is_sorted_by_key(|state| state.events_generated));
}

#[tokio::test(start_paused = true)]
async fn only_the_header_tells_and_only_to_who_has_the_key() {
    let deployment = Deployment::new();
    let process = deployment.process(Config::default());
    let started = process.start(TEN_SECONDS).await;
    process.ended().await;
    let id = started.simulation_id.unwrap();
    let logged = deployment.logged().await;
    for Logged { raw, mark, value, .. } in &logged {
        assert_eq!(MarkKey::new(KEY).verify(mark, raw), Ok(id.as_str()));
        assert_eq!(MarkKey::new("another").verify(mark, raw), Err(ForgedMark));
        assert!(
            !value.contains("SIM-") && !value.contains(id.trim_start_matches("SIM-")),
            "{value}"
        );
    }
    let marks: BTreeSet<&str> = logged.iter().map(|line| line.mark.as_str()).collect();
    assert_eq!(marks.len(), logged.len(), "no mark fits two events");
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_after_a_stop() {
    let deployment = Deployment::new();
    let process = deployment.process(Config::default());
    process.start(TEN_SECONDS).await;
    process.sent(60).await;
    let (_, stopped) = process.call("POST", "/api/simulation/stop", None).await;
    assert_eq!(stopped["status"], "STOPPED");
    let logged = deployment.logged().await.len();
    assert_eq!(stopped["events_generated"], logged);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(deployment.logged().await.len(), logged);

    // Stopping again changes nothing, and another may start at once.
    let (_, again) = process.call("POST", "/api/simulation/stop", None).await;
    assert_eq!(again, stopped);
    let next = process
        .start(r#"{"attack_vector": "HEALTHY_FLOW", "duration_seconds": 10, "target_eps": 10}"#)
        .await;
    process.ended().await;
    let ended = deployment.stored().await;
    assert_eq!((ended.simulation_id, ended.events_generated), (next.simulation_id, 100));
    assert_eq!(deployment.logged().await.len(), logged + 100);
}

#[tokio::test(start_paused = true)]
async fn a_terminated_process_is_continued_by_the_next() {
    let deployment = Deployment::new();
    let first = deployment.process(Config::default());
    first.start(TEN_SECONDS).await;
    first.sent(100).await;
    first.terminate().await;
    let saved = deployment.stored().await;
    assert_eq!(saved.status, SimulationStatus::Running);
    assert_eq!(saved.events_generated, deployment.logged().await.len() as u64);

    deployment.clock.advance(Duration::from_secs(4));
    let second = deployment.process(Config::default());
    second.ended().await;
    let ended = deployment.stored().await;
    assert_eq!(
        (ended.status, ended.events_generated),
        (SimulationStatus::Completed, 400)
    );
    let logged = deployment.logged().await;
    assert_eq!(
        (logged.len(), distinct(&logged).len()),
        (400, 400),
        "nothing twice, nothing missing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_is_continued_and_what_comes_twice_is_a_duplicate() {
    let deployment = Deployment::new();
    let first = deployment.process(Config::default());
    first.start(TEN_SECONDS).await;
    first.sent(110).await;
    first.kill().await;
    let before = deployment.logged().await.len();
    assert!(
        before as u64 > deployment.stored().await.events_generated,
        "the store is behind the log"
    );

    deployment.clock.advance(Duration::from_secs(3));
    let second = deployment.process(Config::default());
    second.ended().await;
    let logged = deployment.logged().await;
    assert!(logged.len() > 400);
    assert_eq!(distinct(&logged).len(), 400);
    assert_eq!(deployment.stored().await.events_generated, 400);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_time_is_over_or_that_may_not_run_is_ended() {
    for (later, config, status, elapsed) in [
        (60, Config::default(), SimulationStatus::Completed, 10),
        (
            5,
            Config {
                enabled: false,
                ..Config::default()
            },
            SimulationStatus::Stopped,
            5,
        ),
    ] {
        let deployment = Deployment::new();
        let first = deployment.process(Config::default());
        first.start(TEN_SECONDS).await;
        first.sent(50).await;
        first.terminate().await;
        let logged = deployment.logged().await.len();

        deployment.clock.advance(Duration::from_secs(later));
        let mut ticks = deployment.backends.store.ticks();
        ticks.mark_unchanged();
        let second = deployment.process(config);
        ticks.changed().await.unwrap();
        second.terminate().await;
        let ended = deployment.stored().await;
        assert_eq!((ended.status, ended.elapsed_seconds), (status, elapsed));
        assert_eq!(ended.events_generated, logged as u64);
        assert_eq!(deployment.logged().await.len(), logged);
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_that_names_no_known_scenario_is_ended() {
    let deployment = Deployment::new();
    let mut odd = running();
    odd.simulation_id = Some("SIM-odd".to_owned());
    odd.attack_vector = Some("WEATHER".to_owned());
    odd.started_at = Some(at("2026-11-22T08:59:59Z"));
    deployment
        .backends
        .store
        .save_simulation(&odd, None, false, deployment.clock.now())
        .await
        .unwrap();
    let mut ticks = deployment.backends.store.ticks();
    ticks.mark_unchanged();
    let process = deployment.process(Config::default());
    ticks.changed().await.unwrap();
    process.terminate().await;
    assert_eq!(deployment.stored().await.status, SimulationStatus::Stopped);
}

/// A log that says of every fourth append that it failed, though it was made.
struct Doubtful(Arc<dyn EventLog>, AtomicU32);

#[async_trait]
impl EventLog for Doubtful {
    async fn partitions(&self, topic: &str) -> Result<u32, BackendError> {
        self.0.partitions(topic).await
    }

    async fn append(&self, topic: &str, records: Vec<Record>, how: Durability) -> Result<Vec<Position>, BackendError> {
        let made = self.0.append(topic, records, how).await?;
        if self.1.fetch_add(1, Ordering::SeqCst) % 4 == 3 {
            return Err(BackendError::Unavailable {
                backend: "doubtful",
                message: "timed out".to_owned(),
            });
        }
        Ok(made)
    }

    async fn open(&self, topic: &str, from: &[(u32, u64)]) -> Result<Box<dyn LogReader>, BackendError> {
        self.0.open(topic, from).await
    }

    async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, BackendError> {
        self.0.watermarks(topic).await
    }

    async fn cluster(&self, topics: &[String]) -> Result<ClusterInfo, BackendError> {
        self.0.cluster(topics).await
    }

    async fn report_progress(&self, topic: &str, next_offsets: &[(u32, u64)]) -> Result<(), BackendError> {
        self.0.report_progress(topic, next_offsets).await
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.0.check().await
    }
}

#[tokio::test(start_paused = true)]
async fn an_append_in_doubt_is_made_again_as_it_was() {
    let mut deployment = Deployment::new();
    deployment.backends.log = Arc::new(Doubtful(Arc::clone(&deployment.backends.log), AtomicU32::new(0)));
    let process = deployment.process(Config::default());
    process.start(TEN_SECONDS).await;
    process.ended().await;
    let ended = deployment.stored().await;
    let logged = deployment.logged().await;
    let distinct = distinct(&logged).len() as u64;
    assert_eq!(ended.status, SimulationStatus::Completed);
    assert!(logged.len() > 450, "{}", logged.len());
    // The last append may be in doubt for good.
    assert!(
        (390..=400).contains(&distinct) && distinct - ended.events_generated <= 8,
        "{distinct}: {ended:?}"
    );
}
