//! Two analyzers between which the partitions move.

use std::time::Duration;

use serde_json::Value;
use threatstream_backend::{Store, Topics};
use threatstream_domain::{Clock, Timestamp};

use super::harness::{client, until};
use super::outcome::undisturbed;
use super::process::{Process, free_port};
use super::proxy::Proxy;
use super::sender::{LINES_A_REQUEST, Sending};
use super::site::{Plan, Schedule, Site};
use super::traffic;
use super::watcher::Watcher;
use super::world::{PARTITIONS, Trigger, World};

/// How often the worker that holds everything ends, and the other takes over.
const HANDOVERS: u32 = 6;
/// How often the partitions move from the one that is asked to drain to the other.
const MOVES: usize = 6;
/// So slow that whoever works is found at it.
const WIRE: Duration = Duration::from_millis(150);

#[tokio::test(flavor = "multi_thread")]
async fn workers_hand_over() {
    let Some(world) = World::make().await else { return };
    let lines = traffic::lines(traffic::size());
    let (events, expected) = (lines.len(), undisturbed().await);
    let mut site = Site::start(&world, Plan::of(Trigger::Worker)).await;
    let watcher = Watcher::connect(&site.relay.base).await;

    let sending = Sending::over(&site.api.base, lines, Duration::from_secs(6) * HANDOVERS);
    for _ in 0..HANDOVERS {
        site.at_work().await;
        let other = site.another_analyzer(free_port(), None).await;
        let holder = site.analyzer.replace(other).expect("one runs");
        assert_eq!(holder.terminate().await, Some(0));
    }
    sending.done().await;

    site.outcome(events).await.assert_same(&expected);
    site.assert_told(&watcher, &expected).await;
    let handed = epochs(&world).await;
    assert!(handed >= u64::from(HANDOVERS), "the leases moved {handed} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn drains_contend() {
    let Some(world) = World::make().await else { return };
    let lines = traffic::lines(traffic::size());
    let (events, expected) = (lines.len(), undisturbed().await);
    let (site, wire) = Site::wired(&world, Trigger::Drain).await;
    let other_wire = Proxy::to(&world.emulators.firestore).await;
    let other = site.another_analyzer(free_port(), Some(&other_wire.address)).await;
    let one = site.analyzer.as_ref().expect("it runs");
    let watcher = Watcher::connect(&site.relay.base).await;
    // Both are asked all the time.
    let _asked =
        [one, &other].map(|analyzer| Schedule::of(format!("{}/drain", analyzer.base), Duration::from_millis(150)));
    let sides = [(one, &wire), (&other, &other_wire)];

    let (store, mut sent, mut requests) = (world.store(), 0, 0);
    // Whole requests: the ids of their events are those of the undisturbed run.
    let chunks = lines.chunks(events.div_ceil(MOVES).next_multiple_of(LINES_A_REQUEST));
    let moves = chunks.len();
    for (round, chunk) in chunks.enumerate() {
        let ((holder_wire, rival), before) = ((sides[round % 2].1, sides[(round + 1) % 2].0), epochs(&world).await);
        // With the rival standing still, the other takes every partition, and stands in the middle of its work.
        rival.freeze();
        holder_wire.slow(WIRE);
        let sending = Sending::start(requests, &site.api.base, chunk.to_vec(), Duration::ZERO);
        until("every partition is held", async || {
            leases(store.as_ref()).await.all_held()
        })
        .await;
        holder_wire.hold_requests();
        rival.thaw();
        let answer = drained(rival).await;
        assert_eq!(answer["status"], "held", "{answer}");
        assert!(answer["partitions_held"].as_u64() >= Some(1), "{answer}");
        requests += sending.requests;
        sent += chunk.len();
        sending.done().await;
        if round + 1 == moves {
            // The last time until the leases have run out: the rival does all of it, and what the holder did is refused.
            site.settled(sent).await;
        }
        holder_wire.restore();
        site.settled(sent).await;
        until("no partition is held", async || {
            leases(store.as_ref()).await.none_held()
        })
        .await;
        let taken = epochs(&world).await;
        assert!(
            taken > before,
            "the leases were taken {taken} times, and {before} before"
        );
    }

    site.outcome(events).await.assert_same(&expected);
    site.assert_told(&watcher, &expected).await;
    let taken = epochs(&world).await;
    assert!(taken > moves as u64, "the leases moved {taken} times");
}

/// Asks an analyzer to drain: what it answers, with a status of success whoever holds the leases.
async fn drained(analyzer: &Process) -> Value {
    let response = client().post(format!("{}/drain", analyzer.base)).send().await;
    let response = response.expect("an answer");
    assert_eq!(response.status(), 200);
    response.json().await.expect("JSON")
}

/// Until when the partitions of both topics are held.
struct Held {
    raw: Vec<Timestamp>,
    matches: Vec<Timestamp>,
    now: Timestamp,
}

impl Held {
    fn all_held(&self) -> Option<()> {
        (self.raw.len() == PARTITIONS as usize && self.raw.iter().all(|until| *until > self.now)).then_some(())
    }

    fn none_held(&self) -> Option<()> {
        let mut held = self.raw.iter().chain(&self.matches);
        held.all(|until| *until <= self.now).then_some(())
    }
}

async fn leases(store: &dyn Store) -> Held {
    let topics = Topics::default();
    let until = async |topic: &str| {
        let checkpoints = store.checkpoints(topic).await.expect("checkpoints");
        checkpoints.iter().map(|checkpoint| checkpoint.lease_until).collect()
    };
    Held {
        raw: until(&topics.raw).await,
        matches: until(&topics.matches).await,
        now: Clock::system().now(),
    }
}

/// How often a lease of the raw topic was taken, for the partition that was taken least.
async fn epochs(world: &World) -> u64 {
    let store = world.store();
    let checkpoints = store.checkpoints(&Topics::default().raw).await.expect("checkpoints");
    checkpoints
        .iter()
        .map(|checkpoint| checkpoint.owner_epoch)
        .min()
        .unwrap_or_default()
}
