//! What a caller chooses.

use std::time::Duration;

use threatstream_backend::Topics;
use threatstream_domain::Clock;

const DAY: u64 = 86_400;

/// Which database, and how long things stay in it. [`FirestoreOptions::new`] has a default for everything but the project.
///
/// Retentions become the `expires_at` of the documents written from then on; a TTL policy on that field deletes them, and no
/// query returns what has expired, deleted yet or not.
#[derive(Clone, Debug)]
pub struct FirestoreOptions {
    /// The Google Cloud project.
    pub project: String,
    /// The database. `(default)`.
    pub database: String,
    /// `host:port` of an emulator; `None` is production, with the Application Default Credentials.
    pub emulator_host: Option<String>,
    /// Where the time of expiries comes from.
    pub clock: Clock,
    /// What the topics are called.
    pub topics: Topics,
    /// How long threats and their originals stay. 90 days.
    pub threat_retention: Duration,
    /// How long an alert stays after its last change. 365 days.
    pub alert_retention: Duration,
    /// How long counters by minute and finished executions stay. 90 days.
    pub history: Duration,
    /// How far back a reader of the feed can resume. 1 hour.
    pub feed_retention: Duration,
    /// A listener of the feed that says nothing for so long is checked on by a query. 60 seconds.
    pub feed_silence: Duration,
    /// How long one request may take. 8 seconds.
    pub request_timeout: Duration,
}

impl FirestoreOptions {
    /// The defaults, in a project.
    #[must_use]
    pub fn new(project: impl Into<String>) -> Self {
        Self {
            project: project.into(),
            database: "(default)".to_owned(),
            emulator_host: None,
            clock: Clock::system(),
            topics: Topics::default(),
            threat_retention: Duration::from_secs(90 * DAY),
            alert_retention: Duration::from_secs(365 * DAY),
            history: Duration::from_secs(90 * DAY),
            feed_retention: Duration::from_secs(3600),
            feed_silence: Duration::from_secs(60),
            request_timeout: Duration::from_secs(8),
        }
    }
}
