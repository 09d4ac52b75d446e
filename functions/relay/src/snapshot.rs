//! The whole state, as a client that starts anew is given it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use threatstream_backend::views::{self, DashboardStats, TimelinePoint};
use threatstream_backend::{AlertQuery, BackendError, ThreatQuery};
use threatstream_domain::{Alert, RiskIndex, SimulationState, Threat};
use tokio::sync::Mutex;

use crate::message;
use crate::relay::Relay;
use crate::ring::Place;
use crate::seq::{Seq, Told};
use crate::wire;

const THREATS: usize = 50;
const ALERTS: usize = 50;

#[derive(Serialize)]
struct Body<'a> {
    threats: &'a [Threat],
    alerts: &'a [Alert],
    risk_index: &'a RiskIndex,
    stats: &'a DashboardStats,
    dashboard_stats: &'a DashboardStats,
    risk_timeline: &'a [TimelinePoint],
    simulation: &'a SimulationState,
}

/// An `initial_state` frame as it goes onto the wire, and the place from which on frames complete it.
pub(crate) struct Snapshot {
    pub(crate) bytes: Bytes,
    pub(crate) place: Place,
    read_at: Instant,
    /// How often the store had ticked before.
    tick: u64,
}

/// The last state that was read. A crowd that connects at once shares it: whoever asks while one is being read is given the next.
#[derive(Default)]
pub(crate) struct Snapshots(Mutex<Option<Arc<Snapshot>>>);

impl Snapshots {
    /// A state that was read after this was asked, or that nothing is known to have changed since (for `state_age` at most, because other
    /// processes commit without a hint). Its place is in the ring, and not before what a client has `seen`: it must not be told again
    /// what it has been told. `None` while the ring is not yet that far.
    pub(crate) async fn get(&self, relay: &Relay, seen: Option<&Told>) -> Result<Option<Arc<Snapshot>>, BackendError> {
        let asked_at = Instant::now();
        let reaches = |place: &Place| {
            seen.is_none_or(|seen| seen.epoch != place.epoch || Seq::at(Arc::clone(&place.after)) >= seen.seq)
        };
        let mut last = self.0.lock().await;
        let tick = *relay.dependencies.backends.store.ticks().borrow();
        if let Some(snapshot) = &*last
            && (snapshot.read_at >= asked_at
                || (snapshot.tick == tick && snapshot.read_at.elapsed() < relay.config.limits.state_age))
            && reaches(&snapshot.place)
            && relay.ring.holds(snapshot.place.position)
        {
            return Ok(Some(Arc::clone(snapshot)));
        }
        // The place comes before the reading: a frame after it may tell what the state holds already, which does no harm, and none is
        // missing.
        let Some(place) = relay.ring.head().filter(reaches) else {
            return Ok(None);
        };
        let read_at = Instant::now();
        let bytes = read(relay, &place).await?;
        let snapshot = Arc::new(Snapshot {
            bytes,
            place,
            read_at,
            tick,
        });
        *last = Some(Arc::clone(&snapshot));
        Ok(Some(snapshot))
    }
}

async fn read(relay: &Relay, place: &Place) -> Result<Bytes, BackendError> {
    let backends = &relay.dependencies.backends;
    let store = &*backends.store;
    let now = relay.dependencies.clock.now();
    let threats = ThreatQuery {
        limit: THREATS,
        ..ThreatQuery::default()
    };
    let alerts = AlertQuery {
        active: true,
        limit: ALERTS,
        ..AlertQuery::default()
    };
    let (threats, alerts, risk_index, stats, risk_timeline, simulation) = tokio::try_join!(
        store.threats(&threats),
        store.alerts(&alerts),
        views::risk(store, now),
        views::dashboard(backends, now),
        views::risk_timeline(store, now),
        store.simulation(),
    )?;
    let body = Body {
        threats: &threats.items,
        alerts: &alerts.items,
        risk_index: &risk_index,
        stats: &stats,
        dashboard_stats: &stats,
        risk_timeline: &risk_timeline,
        simulation: &simulation.unwrap_or_else(SimulationState::idle),
    };
    let json = message::placed(
        "initial_state",
        Some(body),
        &Seq::at(Arc::clone(&place.after)),
        &place.epoch,
        now,
    );
    let mut bytes = Vec::with_capacity(json.len() + 10);
    wire::text(&mut bytes, &json);
    Ok(bytes.into())
}
