//! What a build without the engines of the cloud says when it is asked for them; the configuration refuses them before.

use std::sync::Arc;

use threatstream_backend::{EventLog, Store, TaskQueue};
use threatstream_domain::Clock;

use super::OpenError;
use crate::config::{FirestoreSettings, KafkaSettings, PlatformConfig, PubSubSettings};

pub(super) fn log(_: &KafkaSettings, _: &PlatformConfig) -> Result<Arc<dyn EventLog>, OpenError> {
    Err(OpenError::NotBuilt("kafka"))
}

pub(super) fn store(_: &FirestoreSettings, _: &PlatformConfig, _: &Clock) -> Result<Arc<dyn Store>, OpenError> {
    Err(OpenError::NotBuilt("firestore"))
}

pub(super) fn tasks(_: &PubSubSettings) -> Result<Arc<dyn TaskQueue>, OpenError> {
    Err(OpenError::NotBuilt("pubsub"))
}
