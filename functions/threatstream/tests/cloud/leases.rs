//! Two analyzers between which the partitions move.

use std::time::Duration;

use threatstream_backend::Topics;

use super::outcome::undisturbed;
use super::process::free_port;
use super::sender::Sending;
use super::site::{Plan, Schedule, Site};
use super::traffic;
use super::watcher::Watcher;
use super::world::{Trigger, World};

/// How often the worker that holds everything ends, and the other takes over.
const HANDOVERS: u32 = 6;

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
    watcher.assert_once(expected.threats.keys()).await;
    let handed = epochs(&world).await;
    assert!(handed >= u64::from(HANDOVERS), "the leases moved {handed} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn drains_contend() {
    let Some(world) = World::make().await else { return };
    let lines = traffic::lines(traffic::size());
    let (events, expected) = (lines.len(), undisturbed().await);
    let site = Site::start(&world, Plan::of(Trigger::Drain)).await;
    let other = site.another_analyzer(free_port(), None).await;
    let one = site.analyzer.as_ref().expect("it runs");
    let watcher = Watcher::connect(&site.relay.base).await;
    // Both are asked all the time, so that whoever comes first takes what the other has just let go of.
    let _asked =
        [one, &other].map(|analyzer| Schedule::of(format!("{}/drain", analyzer.base), Duration::from_millis(150)));

    let sending = Sending::over(&site.api.base, lines, Duration::from_secs(30));
    sending.done().await;

    site.outcome(events).await.assert_same(&expected);
    watcher.assert_once(expected.threats.keys()).await;
    // Which of them came first each time is chance; that leases were let go of and taken again is not.
    let taken = epochs(&world).await;
    assert!(taken >= 2, "the leases were taken {taken} times");
}

/// How often a lease of the raw topic was taken, for the partition that was taken least.
async fn epochs(world: &World) -> u64 {
    let store = world.store();
    let checkpoints = store.checkpoints(&Topics::default().raw).await.expect("checkpoints");
    checkpoints
        .iter()
        .map(|checkpoint| checkpoint.owner_epoch)
        .min()
        .expect("partitions were worked")
}
