//! A drain that finds nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::harness::{client, until};
use super::sender::send;
use super::site::{Plan, Site};
use super::traffic;
use super::world::{Trigger, World};

/// Reads in a row that must agree before the platform counts as still.
const STILL: u32 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn it_writes_nothing() {
    let Some(world) = World::make().await else { return };
    let plan = Plan {
        schedule: Duration::from_secs(3600),
        ..Plan::of(Trigger::Drain)
    };
    let site = Site::start(&world, plan).await;
    let analyzer = site.analyzer.as_ref().expect("it runs");

    // Before anything was ever sent, and after.
    for lines in [Vec::new(), traffic::lines(2 * traffic::BLOCK)] {
        let events = lines.len();
        send(&site.api.base, lines).await;
        if events > 0 {
            site.settled(events).await;
        }
        let before = still(&world).await;
        for _ in 0..3 {
            let response = client()
                .post(format!("{}/drain", analyzer.base))
                .send()
                .await
                .expect("an answer");
            assert_eq!(response.status(), 200);
            let answer: Value = response.json().await.expect("JSON");
            assert_eq!(answer["status"], "idle", "{answer}");
        }
        assert_eq!(still(&world).await, before, "a drain wrote something");
    }
}

/// Every document and when it was written, once nothing has been written for a while.
async fn still(world: &World) -> BTreeMap<String, String> {
    let mut last = world.emulators.documents(&world.project).await;
    let mut agreed = 0;
    until("nothing is written any more", async || {
        let now = world.emulators.documents(&world.project).await;
        agreed = if now == last { agreed + 1 } else { 0 };
        last = now;
        tokio::time::sleep(Duration::from_millis(200)).await;
        (agreed >= STILL).then_some(())
    })
    .await;
    last
}
