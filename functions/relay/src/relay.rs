//! What the workers and the sockets share.

use std::sync::{Arc, Once};

use threatstream_runtime::Shutdown;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::meters::Meters;
use crate::ring::Ring;
use crate::snapshot::Snapshots;
use crate::standing::Standing;
use crate::{Config, Dependencies};

/// Reads of the feed that clients may cause at once; the others wait, so that a crowd that comes back leaves the store to the rest.
const READS_AT_ONCE: usize = 4;

/// What the workers and the sockets share.
pub(crate) struct Relay {
    pub(crate) config: Config,
    pub(crate) dependencies: Dependencies,
    pub(crate) ring: Ring,
    pub(crate) snapshots: Snapshots,
    pub(crate) meters: Meters,
    pub(crate) standing: Standing,
    pub(crate) reads: Semaphore,
    pub(crate) sessions: TaskTracker,
    connections: watch::Sender<usize>,
    watched: Once,
}

impl Relay {
    pub(crate) fn new(config: Config, dependencies: Dependencies) -> Self {
        Self {
            ring: Ring::new(config.limits.ring_bytes, config.limits.ring_frames),
            standing: Standing::new(dependencies.clock.now()),
            config,
            dependencies,
            snapshots: Snapshots::default(),
            meters: Meters::new(),
            reads: Semaphore::new(READS_AT_ONCE),
            sessions: TaskTracker::new(),
            connections: watch::Sender::new(0),
            watched: Once::new(),
        }
    }

    /// Has every socket closed as soon as the server stops: the workers learn of it only when the last request is answered.
    pub(crate) fn close_with(self: &Arc<Self>, shutdown: &Shutdown) {
        self.watched.call_once(|| {
            let (relay, shutdown) = (Arc::clone(self), shutdown.clone());
            tokio::spawn(async move {
                shutdown.stopping().await;
                relay.ring.close();
            });
        });
    }

    /// How many sockets are open, and every change of it.
    pub(crate) fn connections(&self) -> watch::Receiver<usize> {
        self.connections.subscribe()
    }

    /// A seat for one more socket; `None` when all are taken.
    pub(crate) fn seat(self: &Arc<Self>) -> Option<Seat> {
        let max = self.config.max_connections;
        let taken = self.connections.send_if_modified(|open| {
            let free = *open < max;
            *open += usize::from(free);
            free
        });
        if !taken {
            self.meters.refused.inc();
            return None;
        }
        self.meters.connections.inc();
        Some(Seat(Arc::clone(self)))
    }
}

/// One open socket, counted while it is held.
pub(crate) struct Seat(Arc<Relay>);

impl Seat {
    pub(crate) fn relay(&self) -> &Arc<Relay> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.send_modify(|open| *open -= 1);
        self.0.meters.connections.dec();
    }
}
