//! What a caller chooses, and why opening fails.

use std::path::PathBuf;
use std::time::Duration;

use threatstream_backend::{RetryPolicy, Topics};
use threatstream_domain::Clock;

/// The file in the folder that holds everything.
pub(crate) const FILE_NAME: &str = "threatstream.db";

/// The file in the folder that one process holds locked.
pub(crate) const LOCK_NAME: &str = "threatstream.lock";

/// How to open the folder. [`Options::new`] has a default for everything else.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where `threatstream.db` lies; made when it is not there.
    pub folder: PathBuf,
    /// How many partitions a topic gets when it is made: 1 to 1024, fixed for its life. 4.
    pub partitions: u32,
    /// What the topics are called.
    pub topics: Topics,
    /// The cap of the log, in bytes as stored. At the cap old records make room where they may; where none may, an append fails
    /// with `Full`. 8 GiB.
    pub max_log_bytes: u64,
    /// How long records stay; records that the analyzer has not worked yet stay longer. 7 days.
    pub retention: Duration,
    /// How many threats are kept; the oldest go first. 1,000,000.
    pub max_threats: u64,
    /// How many records the feed keeps. 200,000.
    pub max_feed_records: u64,
    /// How long the feed keeps its records. 3 days.
    pub feed_retention: Duration,
    /// How long counters by minute, finished executions and dead tasks are kept. 90 days.
    pub history: Duration,
    /// When failed tasks come again.
    pub retry: RetryPolicy,
    /// Where the time of appends and of maintenance comes from.
    pub clock: Clock,
}

impl Options {
    /// The defaults, in a folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        const DAY: u64 = 86_400;
        Self {
            folder: folder.into(),
            partitions: 4,
            topics: Topics::default(),
            max_log_bytes: 8 << 30,
            retention: Duration::from_secs(7 * DAY),
            max_threats: 1_000_000,
            max_feed_records: 200_000,
            feed_retention: Duration::from_secs(3 * DAY),
            history: Duration::from_secs(90 * DAY),
            retry: RetryPolicy::default(),
            clock: Clock::system(),
        }
    }
}

/// Why a folder cannot be opened. None of it goes away by trying again, unless somebody changes something.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The folder or its files cannot be made or read.
    #[error("cannot use {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database cannot be read or written.
    #[error("cannot open the database in {}: {message}", folder.display())]
    Database {
        /// The folder.
        folder: PathBuf,
        /// What SQLite said.
        message: String,
    },
    /// The file was made by a later version of the product.
    #[error("the database in {} has version {found}; this program knows version {known}", folder.display())]
    Version {
        /// The folder.
        folder: PathBuf,
        /// The file's version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A topic was made with another number of partitions; the number is fixed for its life.
    #[error("topic {topic} was made with {stored} partitions, not {asked}; the number is fixed for a topic's life")]
    Partitions {
        /// The topic.
        topic: String,
        /// What it was made with.
        stored: u32,
        /// What was asked for now.
        asked: u32,
    },
    /// The number of partitions is out of range.
    #[error("{0} partitions: a topic has 1 to 1024")]
    PartitionCount(u32),
}
