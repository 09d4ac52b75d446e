//! What a sink delivers several times.

use super::harness::{client, get};
use super::outcome::undisturbed;
use super::sender::send;
use super::site::{Plan, Site};
use super::traffic;
use super::watcher::Watcher;
use super::world::{Trigger, World};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_push_three_times_is_one() {
    let Some(world) = World::make().await else { return };
    let lines = traffic::lines(traffic::size());
    let (events, expected) = (lines.len(), undisturbed().await);
    let plan = Plan {
        deliveries: 3,
        ..Plan::of(Trigger::Push)
    };
    let site = Site::start(&world, plan).await;
    let watcher = Watcher::connect(&site.relay.base).await;

    send(&site.api.base, lines).await;
    site.outcome(events).await.assert_same(&expected);
    site.assert_told(&watcher, &expected).await;
    // What was pushed again lies before the checkpoint: it is not even a duplicate.
    let ledger = get(&client(), &site.api.base, "/api/analytics/ledger").await;
    assert_eq!(ledger["match"]["ingested"], events, "{ledger}");
    assert_eq!(ledger["match"]["duplicate"], 0, "{ledger}");
    assert!(site.connector.as_ref().is_some_and(|connector| connector.pushes() > 0));
}
