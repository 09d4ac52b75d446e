//! The backends.

#[cfg_attr(feature = "cloud", path = "open/cloud.rs")]
#[cfg_attr(not(feature = "cloud"), path = "open/not_built.rs")]
mod engines;

use std::sync::Arc;
use std::time::Duration;

use threatstream_backend::{BackendError, Backends, EventLog, Store, TaskQueue};
use threatstream_domain::Clock;
use threatstream_embedded::{Embedded, Options};

use crate::absent::{NoLog, NoQueue};
use crate::config::{LogChoice, PlatformConfig, QueueChoice, StoreChoice};

/// How long the first connection may take before it is left to the first request.
const WARM_UP: Duration = Duration::from_secs(30);

/// Why the backends cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The embedded file. Trying again helps only when somebody changes something.
    #[error(transparent)]
    Embedded(#[from] threatstream_embedded::OpenError),
    /// One of the others refused what it was configured with; see [`BackendError::is_retryable`].
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The configuration asks for what this build has not.
    #[error("{0} is not in this build; build with --features cloud")]
    NotBuilt(&'static str),
}

/// Backends that are open.
pub struct Platform {
    backends: Backends,
    embedded: Option<Embedded>,
    /// Whether the log, the store and the queue are reached over the network.
    remote: (bool, bool, bool),
}

impl Platform {
    /// The backends, as functions are given them.
    #[must_use]
    pub fn backends(&self) -> Backends {
        self.backends.clone()
    }

    /// Connects to what is reached over the network, so that the first request need not wait for it. For a task beside the
    /// server, once it listens: a TLS client takes a tenth of a second or more to make. What does not answer is logged, and
    /// left to the first request that needs it.
    pub fn warm(&self) -> impl Future<Output = ()> + Send + use<> {
        let backends = self.backends.clone();
        let (log, store, task_queue) = self.remote;
        async move {
            let raw = &backends.topics.raw;
            tokio::join!(
                reach("event_log", log, backends.log.check()),
                // What every function reads sooner or later, and nothing is written by it.
                reach("store", store, async {
                    backends.store.checkpoints(raw).await.map(drop)
                }),
                reach("task_queue", task_queue, backends.tasks.check()),
            );
        }
    }

    /// Writes what is still queued and closes.
    pub async fn close(self) {
        let Self { backends, embedded, .. } = self;
        // Clients of the network end with their last handle.
        drop(backends);
        if let Some(embedded) = embedded {
            embedded.close().await;
        }
    }
}

async fn reach(part: &'static str, remote: bool, first: impl Future<Output = Result<(), BackendError>>) {
    if !remote {
        return;
    }
    match tokio::time::timeout(WARM_UP, first).await {
        Ok(Ok(())) => tracing::debug!(part, "reached"),
        Ok(Err(error)) => tracing::warn!(part, %error, "not reached at the start; requests will try again"),
        Err(_) => tracing::warn!(part, waited = ?WARM_UP, "not reached at the start; requests will try again"),
    }
}

/// Opens what the configuration names. Nothing is reached over the network yet; see [`Platform::warm`].
///
/// # Errors
/// Why the folder cannot be opened, or which backend refused its configuration.
pub fn open(config: &PlatformConfig, clock: &Clock) -> Result<Platform, OpenError> {
    let embedded = if config.has_embedded() {
        Some(threatstream_embedded::open(Options {
            partitions: config.partitions,
            topics: config.topics.clone(),
            max_log_bytes: config.max_log_bytes,
            retention: config.retention,
            clock: clock.clone(),
            ..Options::new(&config.data)
        })?)
    } else {
        None
    };
    let at_hand = embedded.as_ref().map(Embedded::backends);
    let at_hand = || at_hand.as_ref().ok_or(OpenError::NotBuilt("embedded"));
    let log: Arc<dyn EventLog> = match &config.event_log {
        LogChoice::Embedded => Arc::clone(&at_hand()?.log),
        LogChoice::Kafka(settings) => engines::log(settings, config)?,
        LogChoice::Absent => Arc::new(NoLog),
    };
    let store: Arc<dyn Store> = match &config.store {
        StoreChoice::Embedded => Arc::clone(&at_hand()?.store),
        StoreChoice::Firestore(settings) => engines::store(settings, config, clock)?,
    };
    let tasks: Arc<dyn TaskQueue> = match &config.task_queue {
        QueueChoice::Embedded => Arc::clone(&at_hand()?.tasks),
        QueueChoice::PubSub(settings) => engines::tasks(settings)?,
        QueueChoice::Absent => Arc::new(NoQueue),
    };
    Ok(Platform {
        backends: Backends {
            log,
            store,
            tasks,
            topics: config.topics.clone(),
        },
        embedded,
        remote: (
            matches!(config.event_log, LogChoice::Kafka(_)),
            matches!(config.store, StoreChoice::Firestore(_)),
            matches!(config.task_queue, QueueChoice::PubSub(_)),
        ),
    })
}
