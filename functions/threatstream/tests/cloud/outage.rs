//! Firestore out of reach, or answering too late.

use std::collections::BTreeSet;
use std::time::Duration;

use threatstream_backend::{Store, Topics};

use super::harness::until;
use super::outcome::undisturbed;
use super::proxy::Proxy;
use super::sender::Sending;
use super::site::{Plan, Site};
use super::traffic;
use super::watcher::Watcher;
use super::world::{Trigger, World};

/// How long the wire stays cut.
const OUTAGE: Duration = Duration::from_secs(10);
/// So many bytes of requests at once are a commit, rather than the renewal of a lease.
const A_COMMIT: usize = 1500;
/// How often answers are lost.
const LOSSES: u32 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn commits_and_feed_survive_ten_seconds_without_it() {
    let Some(world) = World::make().await else { return };
    let lines = traffic::lines(traffic::size());
    let (events, expected) = (lines.len(), undisturbed().await);
    let commits = Proxy::to(&world.emulators.firestore).await;
    let feed = Proxy::to(&world.emulators.firestore).await;
    let plan = Plan {
        analyzer_firestore: Some(commits.address.clone()),
        relay_firestore: Some(feed.address.clone()),
        ..Plan::of(Trigger::Worker)
    };
    let site = Site::start(&world, plan).await;
    let watcher = Watcher::connect(&site.relay.base).await;

    let sending = Sending::over(&site.api.base, lines, OUTAGE * 5);
    // Both at once; then the feed alone, while the analyzer goes on committing what the relay cannot see.
    for wires in [&[&commits, &feed][..], &[&feed]] {
        site.at_work().await;
        wires.iter().for_each(|wire| wire.cut());
        tokio::time::sleep(OUTAGE).await;
        wires.iter().for_each(|wire| wire.restore());
    }
    sending.done().await;

    site.outcome(events).await.assert_same(&expected);
    site.assert_told(&watcher, &expected).await;

    // A dashboard that was away and knows its place is given what it missed; one that knows another feed's is told so.
    let place = watcher.seen().place.expect("frames have a place");
    let resumed = Watcher::resume(&site.relay.base, &place, "resumed").await;
    assert_eq!(resumed.seen().count("resync"), 0);
    let lost = Watcher::resume(&site.relay.base, &(place.0, "another feed".to_owned()), "resync").await;
    assert_eq!(lost.seen().count("resumed"), 0, "a gap is not passed over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_applied_unheard_has_its_effect_once() {
    let Some(world) = World::make().await else { return };
    let lines = traffic::lines(traffic::size());
    let (events, expected) = (lines.len(), undisturbed().await);
    let (site, wire) = Site::wired(&world, Trigger::Worker).await;
    let watcher = Watcher::connect(&site.relay.base).await;

    let store = world.store();
    let sending = Sending::over(&site.api.base, lines, OUTAGE * 2 * LOSSES);
    let mut applied = BTreeSet::new();
    for loss in 0..LOSSES {
        site.at_work().await;
        let lost = wire.lost();
        wire.lose_answers_after(A_COMMIT);
        until("an answer is lost", async || (wire.lost() > lost).then_some(())).await;
        if loss % 2 == 1 {
            // Every other time nobody even hears that the connection broke, until the deadline of the call.
            tokio::time::sleep(OUTAGE).await;
        }
        // What is in the store now was applied; whether whoever sent it knows so, its log says.
        applied.extend(last_commits(store.as_ref()).await);
        wire.restore();
    }
    sending.done().await;

    site.outcome(events).await.assert_same(&expected);
    site.assert_told(&watcher, &expected).await;
    let said = site.analyzer.as_ref().expect("it runs").said();
    let unheard = applied.iter().filter(|id| {
        said.lines()
            .any(|line| line.contains("commit not confirmed") && line.contains(&format!("batch_id={id}")))
    });
    assert!(
        unheard.count() > 0,
        "no commit was applied unheard: {applied:?}\n{said}"
    );
}

/// The last commit of each partition, past every proxy.
async fn last_commits(store: &dyn Store) -> Vec<String> {
    let topics = Topics::default();
    let mut ids = Vec::new();
    for topic in [&topics.raw, &topics.matches] {
        let checkpoints = store.checkpoints(topic).await.expect("checkpoints");
        ids.extend(checkpoints.into_iter().filter_map(|checkpoint| checkpoint.batch_id));
    }
    ids
}
