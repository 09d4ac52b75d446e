//! The state machine of an execution.
//!
//! An execution moves by saves, each of one version: whoever saves a version that is no longer the stored one has lost, reads again
//! and goes on from there. So any number of workers may hold the same execution, and every step's effects are written once.

mod begin;
mod decide;
mod error;
mod run;

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use threatstream_backend::{Backends, Store};
use threatstream_domain::Clock;
use threatstream_runtime::PushAuth;
use tokio::sync::Mutex;

use crate::action::WebhookClient;
use crate::{Config, Dependencies, Library};

pub(crate) use begin::Request;
pub(crate) use decide::DecideError;
pub(crate) use error::RunError;

/// The longest time a step may be out: a call with all its tries and waits, and something over.
pub(crate) const REACH_OUT_LIMIT: Duration = Duration::from_secs(60);

/// How long after its start a step that is found RUNNING is taken for interrupted. Before that, another worker may be at it.
pub(crate) const INTERRUPTED_AFTER: Duration = Duration::from_secs(90);

/// What executions are run with.
pub(crate) struct Engine {
    pub(crate) backends: Backends,
    pub(crate) clock: Clock,
    pub(crate) library: Library,
    never_block: Vec<IpNet>,
    pub(crate) webhook: Option<WebhookClient>,
    pub(crate) push: PushAuth,
    /// Held while minutes are told, so that two sweeps of this process do not tell the same one.
    pub(crate) telling: Mutex<()>,
}

impl Engine {
    pub(crate) fn new(config: Config, dependencies: Dependencies) -> Self {
        Self {
            backends: dependencies.backends,
            clock: dependencies.clock,
            library: config.playbooks,
            never_block: config.never_block,
            webhook: config.webhook.map(WebhookClient::new),
            push: config.push,
            telling: Mutex::new(()),
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.backends.store
    }
}
