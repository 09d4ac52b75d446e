//! The engines behind the functions: a cluster of this test's own, and a project of its own on the emulators.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use threatstream_backend::{Store, Topics};
use threatstream_firestore::{FirestoreOptions, FirestoreStore};
use threatstream_kafka::mock::MockKafka;

use super::emulators::Emulators;
use super::process::{Process, free_port};

/// Brokers, so that one can be down.
const BROKERS: u32 = 3;
/// Partitions of the two topics that are worked.
pub(crate) const PARTITIONS: u32 = 4;

/// How the analyzer is told that there is something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// Wake-ups and a schedule.
    Drain,
    /// A connector that posts records.
    Push,
    /// It never stops.
    Worker,
}

impl Trigger {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Push => "push",
            Self::Worker => "worker",
        }
    }
}

/// The engines. They outlive the functions: declare them first.
pub(crate) struct World {
    pub(crate) kafka: MockKafka,
    pub(crate) emulators: Emulators,
    /// Nobody else's.
    pub(crate) project: String,
    logs: TempDir,
}

impl World {
    /// `None` where there are no emulators.
    pub(crate) async fn make() -> Option<Self> {
        let emulators = Emulators::reach().await?;
        let topics = Topics::default();
        let kafka = MockKafka::start(
            BROKERS,
            &[
                (&topics.raw, PARTITIONS),
                (&topics.matches, PARTITIONS),
                (&topics.analyzed, 1),
                (&topics.alerts, 1),
                (&topics.metrics, 1),
                (&topics.dead_letters, 1),
            ],
        );
        Some(Self {
            kafka,
            emulators,
            project: format!("test-{:016x}", rand::random::<u64>()),
            logs: tempfile::tempdir().expect("a folder"),
        })
    }

    /// The environment of every function here, and what comes on top.
    pub(crate) fn variables(&self, trigger: Trigger, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let servers = self.kafka.bootstrap_servers();
        let all: &[(&str, &str)] = &[
            ("API_HOST", "127.0.0.1"),
            ("CONFLUENT_BOOTSTRAP_SERVERS", servers),
            // The mock cluster lets a waiting fetch wait, whatever comes meanwhile.
            ("KAFKA_FETCH_WAIT", "10ms"),
            ("GOOGLE_CLOUD_PROJECT", &self.project),
            ("FIRESTORE_EMULATOR_HOST", &self.emulators.firestore),
            ("PUBSUB_EMULATOR_HOST", &self.emulators.pubsub),
            ("ANALYZER_MODE", trigger.name()),
            ("RATE_LIMIT_REQUESTS", "0"),
            ("SIMULATION_KEY", "one key that all functions share"),
            ("LOG_LEVEL", "INFO"),
            ("LOG_FORMAT", "text"),
        ];
        all.iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// Starts a function, and waits until it listens.
    pub(crate) async fn start(&self, name: &str, trigger: Trigger, more: &[(&str, &str)]) -> Process {
        self.start_at(name, free_port(), trigger, more).await
    }

    /// The same at a port that others were told of already.
    pub(crate) async fn start_at(&self, name: &str, port: u16, trigger: Trigger, more: &[(&str, &str)]) -> Process {
        let mut process = Process::start(name, port, &self.variables(trigger, more), &self.logs());
        process.listening().await;
        process
    }

    /// The store as a function sees it, in this process and past every proxy.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::new(FirestoreStore::open(FirestoreOptions {
            emulator_host: Some(self.emulators.firestore.clone()),
            ..FirestoreOptions::new(self.project.clone())
        }))
    }

    fn logs(&self) -> PathBuf {
        self.logs.path().to_owned()
    }
}
