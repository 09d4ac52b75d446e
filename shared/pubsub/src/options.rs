//! What a queue needs to know.

use threatstream_backend::RetryPolicy;

/// How to open a [`PubSubQueue`](crate::PubSubQueue).
#[derive(Debug, Clone)]
pub struct PubSubOptions {
    /// The Google Cloud project.
    pub project: String,
    /// `host:port` of an emulator to use instead of Google's service: without TLS and credentials, and with topics made at first use.
    pub emulator_host: Option<String>,
    /// Begins the name of every topic and subscription.
    pub topic_prefix: String,
    /// When a failed task comes again, and when no longer. Waits are cut to 600 s.
    pub policy: RetryPolicy,
}

impl PubSubOptions {
    /// The project's queues as infrastructure names them, with the default policy.
    pub fn new(project: impl Into<String>) -> Self {
        Self {
            project: project.into(),
            emulator_host: None,
            topic_prefix: "threatstream-".to_owned(),
            policy: RetryPolicy::default(),
        }
    }
}
