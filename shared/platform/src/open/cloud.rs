//! Kafka, Firestore and Pub/Sub, from their settings. None of it does I/O.

use std::sync::Arc;

use threatstream_backend::{EventLog, Store, TaskQueue};
use threatstream_domain::Clock;
use threatstream_firestore::{FirestoreOptions, FirestoreStore};
use threatstream_kafka::{ApiSecret, Credentials, KafkaConfig, KafkaLog};
use threatstream_pubsub::{PubSubOptions, PubSubQueue};

use super::OpenError;
use crate::config::{FirestoreSettings, KafkaSettings, PlatformConfig, PubSubSettings};

pub(super) fn log(settings: &KafkaSettings, config: &PlatformConfig) -> Result<Arc<dyn EventLog>, OpenError> {
    let log = KafkaLog::open(KafkaConfig {
        credentials: settings.credentials.as_ref().map(|(key, secret)| Credentials {
            api_key: key.clone(),
            api_secret: ApiSecret::new(secret.expose().as_str()),
        }),
        cluster_id: settings.cluster_id.clone(),
        consumer_group: settings.consumer_group.clone(),
        topics: config.topics.clone(),
        fetch_wait: settings.fetch_wait,
        ..KafkaConfig::new(&settings.bootstrap_servers)
    })?;
    Ok(Arc::new(log))
}

pub(super) fn store(
    settings: &FirestoreSettings,
    config: &PlatformConfig,
    clock: &Clock,
) -> Result<Arc<dyn Store>, OpenError> {
    Ok(Arc::new(FirestoreStore::open(FirestoreOptions {
        database: settings.database.clone(),
        emulator_host: settings.emulator_host.clone(),
        clock: clock.clone(),
        topics: config.topics.clone(),
        ..FirestoreOptions::new(&settings.project)
    })))
}

pub(super) fn tasks(settings: &PubSubSettings) -> Result<Arc<dyn TaskQueue>, OpenError> {
    Ok(Arc::new(PubSubQueue::open(PubSubOptions {
        emulator_host: settings.emulator_host.clone(),
        ..PubSubOptions::new(&settings.project)
    })))
}
