//! An analyzer that stands still until its lease has moved, with a commit on its way, and then goes on.

use std::time::Duration;

use super::harness::until;
use super::outcome::undisturbed;
use super::process::free_port;
use super::sender::send_from;
use super::site::{Plan, Site};
use super::traffic;
use super::watcher::Watcher;
use super::world::{Trigger, World};

/// So many bytes in the wire hold a commit, and not the renewal of a lease alone.
const A_COMMIT: usize = 1500;

#[tokio::test(flavor = "multi_thread")]
async fn its_commit_is_refused_and_its_memory_thrown_away() {
    let Some(world) = World::make().await else { return };
    let lines = traffic::lines(traffic::size());
    let (events, expected) = (lines.len(), undisturbed().await);
    let (mut site, wire) = Site::wired(&world, Trigger::Worker).await;
    let watcher = Watcher::connect(&site.relay.base).await;
    let (first, rest) = lines.split_at(traffic::BLOCK);
    let (second, third) = rest.split_at(rest.len() / 2);

    // It works, and holds what it has seen in memory.
    let sent = send_from(0, &site.api.base, first.to_vec()).await;
    site.settled(first.len()).await;
    // The next batch's commit gets as far as the wire, and the process no further.
    wire.hold_requests();
    let sent = send_from(sent, &site.api.base, second.to_vec()).await;
    until("a commit is on its way", async || {
        (wire.held() >= A_COMMIT).then_some(())
    })
    .await;
    let zombie = site.analyzer.take().expect("it runs");
    zombie.freeze();

    // Another takes its partitions once the leases have run out, and does the work.
    let living = site.another_analyzer(free_port(), None).await;
    site.settled(first.len() + second.len()).await;
    // Now the late commit reaches Firestore, and the zombie its answer.
    wire.restore();
    zombie.thaw();
    until("the zombie learns that it lost its partitions", async || {
        let said = zombie.said();
        (said.contains("commit refused") || said.contains("another took the partition")).then_some(())
    })
    .await;

    // It is of use again, with what the other has written and without what it remembers.
    assert_eq!(living.terminate().await, Some(0));
    send_from(sent, &site.api.base, third.to_vec()).await;
    site.outcome(events).await.assert_same(&expected);
    site.assert_told(&watcher, &expected).await;
    drop(zombie);
}

/// Frozen for a moment only, it goes on with its lease and nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_stop_changes_nothing() {
    let Some(world) = World::make().await else { return };
    let lines = traffic::lines(traffic::size());
    let (events, expected) = (lines.len(), undisturbed().await);
    let site = Site::start(&world, Plan::of(Trigger::Worker)).await;
    let _other = site.another_analyzer(free_port(), None).await;
    let watcher = Watcher::connect(&site.relay.base).await;
    let sending = super::sender::Sending::over(&site.api.base, lines, Duration::from_secs(12));
    let analyzer = site.analyzer.as_ref().expect("it runs");
    for _ in 0..4 {
        site.at_work().await;
        analyzer.freeze();
        tokio::time::sleep(Duration::from_secs(2)).await;
        analyzer.thaw();
    }
    sending.done().await;
    site.outcome(events).await.assert_same(&expected);
    site.assert_told(&watcher, &expected).await;
}
