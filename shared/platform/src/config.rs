//! Which backends, from the environment.

mod kafka;
mod selection;
#[cfg(test)]
mod tests;
mod variables;

use std::path::PathBuf;
use std::time::Duration;

use threatstream_backend::Topics;
use threatstream_runtime::{ConfigErrors, Environment, Reader};

use selection::{Chosen, EVENT_LOG, Process, STORE, Selection, TASK_QUEUE};
use variables::{database, emulator, project, topics};

pub use kafka::KafkaSettings;

const DAY: Duration = Duration::from_secs(86_400);

/// What to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformConfig {
    /// Where events are appended.
    pub event_log: LogChoice,
    /// Where results are kept.
    pub store: StoreChoice,
    /// Where tasks wait.
    pub task_queue: QueueChoice,
    /// The folder of the embedded file.
    pub data: PathBuf,
    /// What the topics are called.
    pub topics: Topics,
    /// How many partitions a topic gets when the embedded log makes it.
    pub partitions: u32,
    /// The cap of the embedded log, in bytes.
    pub max_log_bytes: u64,
    /// How long the embedded log keeps what has been analysed.
    pub retention: Duration,
}

/// Which event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogChoice {
    /// The embedded file.
    Embedded,
    /// A Kafka cluster.
    Kafka(KafkaSettings),
    /// None: the function needs none, and the environment names none.
    Absent,
}

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// The embedded file.
    Embedded,
    /// A Firestore database.
    Firestore(FirestoreSettings),
}

/// Which task queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueChoice {
    /// The embedded file.
    Embedded,
    /// Pub/Sub.
    PubSub(PubSubSettings),
    /// None: the function needs none, and the environment names none.
    Absent,
}

/// Where Firestore is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirestoreSettings {
    /// `GOOGLE_CLOUD_PROJECT`.
    pub project: String,
    /// `FIRESTORE_DATABASE`, or `(default)`.
    pub database: String,
    /// `FIRESTORE_EMULATOR_HOST`, as `127.0.0.1:8080`.
    pub emulator_host: Option<String>,
}

/// Where Pub/Sub is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PubSubSettings {
    /// `GOOGLE_CLOUD_PROJECT`.
    pub project: String,
    /// `PUBSUB_EMULATOR_HOST`, as `127.0.0.1:8085`.
    pub emulator_host: Option<String>,
}

/// What a function in a process of its own cannot work without. Every function needs the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// It appends to the event log or reads it.
    pub event_log: bool,
    /// It hands out tasks or takes them.
    pub task_queue: bool,
}

impl Needs {
    /// Everything.
    pub const ALL: Self = Self {
        event_log: true,
        task_queue: true,
    };
    /// The store alone.
    pub const STORE: Self = Self {
        event_log: false,
        task_queue: false,
    };
}

impl PlatformConfig {
    /// Reads the variables of the backends, for a process that holds every function.
    ///
    /// # Errors
    /// Every variable that is wrong, is missing, or asks for a backend that cannot be had.
    pub fn from_env(environment: &dyn Environment) -> Result<Self, ConfigErrors> {
        Self::read(environment, Process::Whole, cfg!(feature = "cloud"))
    }

    /// The same for one function in a process of its own. It must name the backends that it needs; the embedded ones by
    /// name, because no second process can open the same file.
    ///
    /// # Errors
    /// As [`PlatformConfig::from_env`].
    pub fn of_function(environment: &dyn Environment, needs: Needs) -> Result<Self, ConfigErrors> {
        Self::read(environment, Process::Function(needs), cfg!(feature = "cloud"))
    }

    fn read(environment: &dyn Environment, process: Process, cloud_is_built: bool) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let mut selection = Selection {
            on_cloud_run: reader.text("K_SERVICE").is_some(),
            cloud_is_built,
            process,
            reader: &mut reader,
        };
        let needs = match process {
            Process::Whole => Needs::ALL,
            Process::Function(needs) => needs,
        };
        let log = selection.choose(&EVENT_LOG, "CONFLUENT_BOOTSTRAP_SERVERS", needs.event_log);
        let store = selection.choose(&STORE, "GOOGLE_CLOUD_PROJECT", true);
        // The queue follows the store: a project is named for traces too.
        let implies_queue = if store == Some(Chosen::Cloud) {
            "GOOGLE_CLOUD_PROJECT"
        } else {
            ""
        };
        let task_queue = selection.choose(&TASK_QUEUE, implies_queue, needs.task_queue);

        let event_log = match log {
            Some(Chosen::Cloud) => LogChoice::Kafka(KafkaSettings::read(&mut reader)),
            Some(Chosen::Embedded) => LogChoice::Embedded,
            None => LogChoice::Absent,
        };
        if log != Some(Chosen::Cloud) && reader.text("EVENT_LOG").is_none() {
            KafkaSettings::refuse_orphans(&mut reader);
        }
        let (store_in_cloud, queue_in_cloud) = (store == Some(Chosen::Cloud), task_queue == Some(Chosen::Cloud));
        let engines: &[&str] = match (store_in_cloud, queue_in_cloud) {
            (true, true) => &["Firestore", "Pub/Sub"],
            (true, false) => &["Firestore"],
            (false, true) => &["Pub/Sub"],
            (false, false) => &[],
        };
        let project = project(&mut reader, engines);
        let store = if store_in_cloud {
            StoreChoice::Firestore(FirestoreSettings {
                project: project.clone(),
                database: database(&mut reader),
                emulator_host: emulator(&mut reader, "FIRESTORE_EMULATOR_HOST"),
            })
        } else {
            StoreChoice::Embedded
        };
        let task_queue = match task_queue {
            Some(Chosen::Cloud) => QueueChoice::PubSub(PubSubSettings {
                project,
                emulator_host: emulator(&mut reader, "PUBSUB_EMULATOR_HOST"),
            }),
            Some(Chosen::Embedded) => QueueChoice::Embedded,
            None => QueueChoice::Absent,
        };
        let config = Self {
            event_log,
            store,
            task_queue,
            data: reader.text_or("THREATSTREAM_DATA", "./data").into(),
            topics: topics(&mut reader),
            partitions: reader.number("LOG_PARTITIONS", 4, 1..=1024),
            max_log_bytes: reader.number("LOG_MAX_BYTES", 8 << 30, 1 << 20..=u64::MAX),
            retention: reader.duration("LOG_RETENTION", 7 * DAY, Duration::from_secs(60)..=3650 * DAY),
        };
        reader.finish(config)
    }

    /// Whether a part of it is the embedded file.
    #[must_use]
    pub fn has_embedded(&self) -> bool {
        self.event_log == LogChoice::Embedded
            || self.store == StoreChoice::Embedded
            || self.task_queue == QueueChoice::Embedded
    }
}

impl LogChoice {
    /// Its name in `EVENT_LOG`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Kafka(_) => "kafka",
            Self::Absent => "none",
        }
    }
}

impl StoreChoice {
    /// Its name in `STORE`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Firestore(_) => "firestore",
        }
    }
}

impl QueueChoice {
    /// Its name in `TASK_QUEUE`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::PubSub(_) => "pubsub",
            Self::Absent => "none",
        }
    }
}
