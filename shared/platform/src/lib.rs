//! Opens the backends that the environment names, and starts functions over them: the only crate that knows all backends.
//!
//! Nothing falls back in silence. What the environment asks for is opened, or the start fails with every variable that
//! stands in the way. On Cloud Run, where a container's disk is memory and is gone with it, the embedded backends are
//! refused; so they are where a function runs in a process of its own and would be alone with its data, unless the
//! environment names them on purpose.
//!
//! Opening reaches nothing over the network: a container listens first and connects then ([`Platform::warm`]).
//!
//! | module | |
//! |---|---|
//! | `config` | which backends, from the environment: [`PlatformConfig`] |
//! | `open` | the backends: [`Platform`] |
//! | `absent` | what stands for a backend that a function does not need |
//! | `start` | from the environment to a function that serves: [`main`], [`run`] |
//!
//! The feature `cloud` adds Kafka, Firestore and Pub/Sub. A build without it refuses an environment that asks for them.

mod absent;
mod config;
mod open;
mod start;

pub use config::{
    FirestoreSettings, KafkaSettings, LogChoice, Needs, PlatformConfig, PubSubSettings, QueueChoice, StoreChoice,
};
pub use open::{OpenError, Platform, open};
pub use start::{Start, announce, main, mark_key, run};
