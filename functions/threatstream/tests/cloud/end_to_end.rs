//! Raw logs in; threats in Firestore, frames at a dashboard and addresses on the blocklist out. For each trigger.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::harness::{client, get, until};
use super::outcome::undisturbed;
use super::sender::send;
use super::site::{Plan, Site};
use super::traffic;
use super::watcher::Watcher;
use super::world::{Trigger, World};

/// Threats that are timed, one after another.
const TIMED: usize = 20;

async fn from_logs_to_a_blocked_address(trigger: Trigger) {
    let Some(world) = World::make().await else { return };
    let lines = traffic::lines(traffic::size());
    let (events, expected) = (lines.len(), undisturbed().await);
    // The schedule as rare as it is deployed: what drives the analyzer is the trigger itself.
    let plan = Plan {
        schedule: Duration::from_secs(60),
        ..Plan::of(trigger)
    };
    let site = Site::start(&world, plan).await;
    let watcher = Watcher::connect(&site.relay.base).await;

    let started = Instant::now();
    send(&site.api.base, lines).await;
    let outcome = site.outcome(events).await;
    let took = started.elapsed();
    eprintln!(
        "{}: {events} events analysed in {took:?}, with {} threats",
        trigger.name(),
        outcome.threats.len()
    );
    outcome.assert_same(&expected);
    site.assert_told(&watcher, &expected).await;
    assert_eq!(
        watcher.seen().new_alerts.keys().collect::<Vec<_>>(),
        expected.alerts.keys().collect::<Vec<_>>()
    );
    assert_answered(&site, events).await;

    let times = latency(&site, &watcher).await;
    let median = times[times.len() / 2];
    eprintln!(
        "{}: POST to frame {median:?} p50, {:?} at most, of {TIMED}",
        trigger.name(),
        times[times.len() - 1]
    );
    match trigger {
        Trigger::Worker => assert!(median < Duration::from_secs(1), "{times:?}"),
        Trigger::Drain | Trigger::Push => assert!(median < Duration::from_secs(10), "{times:?}"),
    }
}

/// Every address that guessed fast is blocked, by an execution that ran to its end.
async fn assert_answered(site: &Site<'_>, events: usize) {
    let client = client();
    let guessers: BTreeSet<String> = traffic::fast_guessers(events).into_iter().collect();
    until("the guessers are blocked", async || {
        let url = format!("{}/api/blocklist?format=txt", site.responder.base);
        let list = client.get(url).send().await.ok()?.text().await.ok()?;
        let blocked: BTreeSet<String> = list.lines().map(str::to_owned).collect();
        guessers.is_subset(&blocked).then_some(())
    })
    .await;
    let history = get(&client, &site.responder.base, "/api/playbooks/history?limit=500").await;
    let executions = history["executions"].as_array().expect("a list");
    assert!(!executions.is_empty());
    until("the executions are completed", async || {
        let history = get(&client, &site.responder.base, "/api/playbooks/history?limit=500").await;
        let executions = history["executions"].as_array()?.clone();
        executions
            .iter()
            .all(|execution| execution["status"] == "COMPLETED")
            .then_some(())
    })
    .await;
}

/// Posts attacks one after another, each from an address of its own: how long each took to the dashboard, sorted.
async fn latency(site: &Site<'_>, watcher: &Watcher) -> Vec<Duration> {
    let client = client();
    let mut times = Vec::with_capacity(TIMED);
    for number in 0..TIMED {
        let id = format!("timed/{number}");
        let event = json!({"event_id": id, "event_type": "brute_force", "source_ip": format!("192.0.2.{}", number + 1),
            "payload": {"attempts": 25}});
        let posted = Instant::now();
        let response = client
            .post(format!("{}/api/events", site.api.base))
            .json(&event)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), 202);
        let arrived = until("the dashboard is told", async || watcher.arrival(&id)).await;
        times.push(arrived.duration_since(posted));
    }
    times.sort_unstable();
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn by_wake_up() {
    from_logs_to_a_blocked_address(Trigger::Drain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_push() {
    from_logs_to_a_blocked_address(Trigger::Push).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_worker() {
    from_logs_to_a_blocked_address(Trigger::Worker).await;
}
