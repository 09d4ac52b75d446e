//! Brokers that refuse, dawdle and go away, while events come in.

use std::time::Duration;

use threatstream_backend::Topics;
use threatstream_kafka::mock::{Answer, Request};

use super::outcome::undisturbed;
use super::sender::Sending;
use super::site::{Plan, Site};
use super::traffic;
use super::watcher::Watcher;
use super::world::{Trigger, World};

/// How long a broker stays down.
const DOWN: Duration = Duration::from_secs(10);
/// Slower than a client's patience with one request would be, if it had none.
const DAWDLE: Duration = Duration::from_millis(1500);
/// How long all of it may take, so that events come in through all of it.
const SPAN: Duration = Duration::from_secs(60);

async fn faults_leave_no_trace(trigger: Trigger) {
    let Some(world) = World::make().await else { return };
    let lines = traffic::lines(traffic::size());
    let (events, expected) = (lines.len(), undisturbed().await);
    let site = Site::start(&world, Plan::of(trigger)).await;
    let watcher = Watcher::connect(&site.relay.base).await;
    let kafka = &world.kafka;

    let sending = Sending::over(&site.api.base, lines, SPAN);
    site.at_work().await;
    // What a broker says when it was just elected, is overloaded, or loses a replica; and connections that break.
    let answers = [
        Answer::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Answer::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        Answer::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        Answer::RD_KAFKA_RESP_ERR__TRANSPORT,
        Answer::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ];
    kafka.fail(Request::Produce, &answers);
    kafka.fail(Request::Fetch, &answers[..2]);
    kafka.fail(Request::Metadata, &[Answer::RD_KAFKA_RESP_ERR__TRANSPORT]);
    kafka.fail(Request::ListOffsets, &answers[..2]);
    site.at_work().await;

    kafka.round_trip_time(None, DAWDLE);
    site.at_work().await;
    kafka.round_trip_time(None, Duration::ZERO);

    // One of three is away: its partitions wait, the others go on.
    kafka.down(Some(1));
    tokio::time::sleep(DOWN).await;
    kafka.up(Some(1));
    site.at_work().await;

    // Leaders move.
    for partition in 0..4 {
        kafka.lead(&Topics::default().raw, partition, Some(2));
        kafka.lead(&Topics::default().matches, partition, Some(3));
    }
    sending.done().await;

    site.outcome(events).await.assert_same(&expected);
    site.assert_told(&watcher, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_worker() {
    faults_leave_no_trace(Trigger::Worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_drains() {
    faults_leave_no_trace(Trigger::Drain).await;
}
