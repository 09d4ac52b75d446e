//! The workers that tell how things stand: counters, risk and the heartbeat. They work only while somebody listens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use threatstream_backend::views::{self, DashboardStats};
use threatstream_backend::{BackendError, Backends};
use threatstream_domain::{RiskLevel, RiskTrend, Timestamp};
use threatstream_runtime::CancellationToken;
use tokio::time::MissedTickBehavior;
use tracing::warn;

use crate::filter::Topic;
use crate::message;
use crate::relay::Relay;
use crate::segment::SegmentBuilder;

const EVERY: Duration = Duration::from_secs(1);
/// Without a hint of the store's, what other processes commit and what fades with time is looked at this often.
const UNASKED: Duration = Duration::from_secs(5);

#[derive(Clone, PartialEq, Serialize)]
struct Risk {
    value: u8,
    level: RiskLevel,
    trend: RiskTrend,
}

#[derive(Serialize)]
struct TimelineStep {
    time: String,
    risk: u8,
    timestamp: Timestamp,
}

/// What was last told.
#[derive(Default)]
struct Told {
    metrics: Option<DashboardStats>,
    risk: Option<Risk>,
    timeline: Option<(u8, Instant)>,
}

/// Tells counters and risk, at most once a second, when they changed.
pub(crate) async fn run(relay: Arc<Relay>, token: CancellationToken) -> anyhow::Result<()> {
    let mut interval = tokio::time::interval(EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connections = relay.connections();
    let mut ticks = relay.dependencies.backends.store.ticks();
    let mut told = Told::default();
    let mut looked: Option<Instant> = None;
    let working = async {
        loop {
            // Fails only when the relay is gone, and with it this worker.
            if connections.wait_for(|open| *open > 0).await.is_err() {
                return;
            }
            interval.tick().await;
            let hinted = ticks.has_changed().unwrap_or(false);
            if !hinted && looked.is_some_and(|at| at.elapsed() < UNASKED) {
                continue;
            }
            ticks.borrow_and_update();
            looked = Some(Instant::now());
            if let Err(error) = tell(&relay, &mut told).await {
                warn!(%error, "counters and risk cannot be read");
            }
        }
    };
    token.run_until_cancelled(working).await;
    Ok(())
}

async fn tell(relay: &Relay, told: &mut Told) -> Result<(), BackendError> {
    let now = relay.dependencies.clock.now();
    let backends: &Backends = &relay.dependencies.backends;
    let (stats, risk) = tokio::try_join!(views::dashboard(backends, now), views::risk(&*backends.store, now))?;
    let mut builder = SegmentBuilder::default();
    if told.metrics.as_ref() != Some(&stats) {
        builder.passing(Topic::Metrics, &message::frame("metrics_update", Some(&stats), now));
        told.metrics = Some(stats);
    }
    let (value, risk) = (
        risk.value,
        Risk {
            value: risk.value,
            level: risk.level,
            trend: risk.trend,
        },
    );
    if told.risk.as_ref() != Some(&risk) {
        builder.passing(Topic::Risk, &message::frame("risk_update", Some(&risk), now));
        told.risk = Some(risk);
    }
    if told
        .timeline
        .is_none_or(|(before, at)| before != value || at.elapsed() >= UNASKED)
    {
        let step = TimelineStep {
            time: now.clock_face(),
            risk: value,
            timestamp: now,
        };
        builder.passing(
            Topic::RiskTimeline,
            &message::frame("risk_timeline_update", Some(&step), now),
        );
        told.timeline = Some((value, Instant::now()));
    }
    let segment = builder.finish();
    if segment.frames() > 0 {
        relay.meters.published.inc_by(segment.frames() as u64);
        relay.ring.publish(segment);
    }
    Ok(())
}

/// Sends every client a `heartbeat` and a ping, whose pong tells that it is still there.
pub(crate) async fn beat(relay: Arc<Relay>, token: CancellationToken) -> anyhow::Result<()> {
    let mut interval = tokio::time::interval(relay.config.heartbeat_interval);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let connections = relay.connections();
    let beating = async {
        loop {
            interval.tick().await;
            if *connections.borrow() == 0 || !relay.ring.is_ready() {
                continue;
            }
            let mut builder = SegmentBuilder::default();
            let now = relay.dependencies.clock.now();
            builder.passing(Topic::Liveness, &message::frame("heartbeat", None::<()>, now));
            builder.ping();
            relay.ring.publish(builder.finish());
        }
    };
    token.run_until_cancelled(beating).await;
    Ok(())
}
