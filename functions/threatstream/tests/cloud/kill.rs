//! The analyzer killed at random moments.

use std::time::Duration;

use super::outcome::undisturbed;
use super::sender::Sending;
use super::site::Site;
use super::traffic;
use super::watcher::Watcher;
use super::world::{Trigger, World};

const KILLS: u32 = 4;
/// A killed worker's leases run out after 15 s, and every kill is to find work under way.
const A_KILL: Duration = Duration::from_secs(19);
/// Slow enough that many a kill falls between a batch's first and last byte.
const WIRE: Duration = Duration::from_millis(20);

async fn kills_leave_no_trace(trigger: Trigger) {
    let Some(world) = World::make().await else { return };
    let lines = traffic::lines(traffic::size());
    let (events, expected) = (lines.len(), undisturbed().await);
    let (mut site, wire) = Site::wired(&world, trigger).await;
    wire.slow(WIRE);
    let watcher = Watcher::connect(&site.relay.base).await;

    let sending = Sending::over(&site.api.base, lines, A_KILL * KILLS);
    for kill in 1..=KILLS {
        site.at_work().await;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..1500))).await;
        eprintln!(
            "{}: kill {kill} after {} of {} requests",
            trigger.name(),
            sending.answered(),
            sending.requests
        );
        if let Some(analyzer) = site.analyzer.take() {
            analyzer.kill();
        }
        site.start_analyzer().await;
    }
    sending.done().await;

    site.outcome(events).await.assert_same(&expected);
    site.assert_told(&watcher, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_worker() {
    kills_leave_no_trace(Trigger::Worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_drain() {
    kills_leave_no_trace(Trigger::Drain).await;
}
