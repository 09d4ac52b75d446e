//! Opens the backends that the environment names: the only crate that knows them all.
//!
//! Nothing falls back in silence. What the environment asks for is opened, or the start fails with every variable that
//! stands in the way; on Cloud Run, where a container's disk is memory and is gone with it, the embedded backends are
//! refused.

mod config;

use threatstream_backend::Backends;
use threatstream_domain::Clock;
use threatstream_embedded::{Embedded, OpenError, Options};

pub use config::PlatformConfig;

/// Backends that are open.
pub struct Platform {
    embedded: Embedded,
}

impl Platform {
    /// The backends, as functions are given them.
    #[must_use]
    pub fn backends(&self) -> Backends {
        self.embedded.backends()
    }

    /// Writes what is still queued and closes.
    pub async fn close(self) {
        self.embedded.close().await;
    }
}

/// Opens what the configuration names.
///
/// # Errors
/// Why the folder cannot be opened.
pub fn open(config: &PlatformConfig, clock: Clock) -> Result<Platform, OpenError> {
    let embedded = threatstream_embedded::open(Options {
        partitions: config.partitions,
        topics: config.topics.clone(),
        max_log_bytes: config.max_log_bytes,
        retention: config.retention,
        clock,
        ..Options::new(&config.data)
    })?;
    Ok(Platform { embedded })
}
