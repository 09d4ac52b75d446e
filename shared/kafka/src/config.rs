//! Where the cluster is, and how its clients are set.

use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use threatstream_backend::Topics;

/// The largest record, key and headers included, that is appended: an event of 256 KiB all of whose bytes are escaped sixfold in
/// its envelope, and room beside it.
pub const MAX_RECORD_BYTES: usize = 2 * 1024 * 1024;

/// Where the cluster is, and how to speak to it.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas.
    pub bootstrap_servers: String,
    /// Given: SASL PLAIN over TLS, as Confluent Cloud has it. None: plaintext.
    pub credentials: Option<Credentials>,
    /// What to call the cluster where it does not say its id.
    pub cluster_id: Option<String>,
    /// The consumer group that progress is reported under, for monitoring.
    pub consumer_group: String,
    /// The topics that must exist for [`check`](threatstream_backend::EventLog::check) to succeed.
    pub topics: Topics,
    /// How long a broker holds a fetch that finds nothing new. A broker answers at once when something comes; the mock cluster
    /// does not, and wants 10 ms here.
    pub fetch_wait: Duration,
    /// How long an append waits, first for room in the queue and then for the brokers, before it is `Unavailable`.
    pub delivery_timeout: Duration,
    /// How long anything else is waited for.
    pub request_timeout: Duration,
    /// Appends beyond this many bytes in flight wait for room.
    pub queue_bytes: u32,
    /// A reader fetches this many bytes ahead, and up to one answer of 8 MiB more.
    pub prefetch_bytes: u32,
}

impl KafkaConfig {
    /// A plaintext cluster, with what suits most.
    #[must_use]
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            credentials: None,
            cluster_id: None,
            consumer_group: "threatstream-analyzer".to_owned(),
            topics: Topics::default(),
            fetch_wait: Duration::from_millis(500),
            delivery_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(10),
            queue_bytes: 32 * 1024 * 1024,
            prefetch_bytes: 16 * 1024 * 1024,
        }
    }

    /// What every client is given.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "threatstream")
            // A container that was frozen between two requests wakes to dead connections: notice, and connect again, within
            // seconds.
            .set("socket.keepalive.enable", "true")
            // Longer than a broker may hold a fetch.
            .set(
                "socket.timeout.ms",
                millis(self.request_timeout.max(self.fetch_wait + Duration::from_secs(2))).to_string(),
            )
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            // Before a broker or a gateway on the way does, which a frozen container would not hear.
            .set("connections.max.idle.ms", "240000")
            // Brokers close idle connections; that is no news.
            .set("log.connection.close", "false");
        match &self.credentials {
            None => config.set("security.protocol", "plaintext"),
            Some(credentials) => config
                .set("security.protocol", "sasl_ssl")
                .set("sasl.mechanisms", "PLAIN")
                .set("sasl.username", &credentials.api_key)
                .set("sasl.password", &credentials.api_secret.0),
        };
        config.set_log_level(if tracing::enabled!(target: "librdkafka", tracing::Level::DEBUG) {
            RDKafkaLogLevel::Info
        } else {
            RDKafkaLogLevel::Warning
        });
        config
    }

    /// The producer's configuration.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            // Partitions are chosen before records get here; should one ever not be, it goes where others would put it.
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .set("message.max.bytes", MAX_RECORD_BYTES.to_string())
            .set("message.timeout.ms", millis(self.delivery_timeout).to_string())
            .set("request.timeout.ms", millis(self.request_timeout).to_string())
            // The bound that is felt is `queue_bytes`; these are behind it, for an append larger than all of that.
            .set(
                "queue.buffering.max.kbytes",
                (self.queue_bytes / 1024).saturating_mul(2).max(4096).to_string(),
            )
            .set("queue.buffering.max.messages", "1000000");
        config
    }

    /// The configuration of a client that asks for metadata and commits offsets, and of the readers' too.
    pub(crate) fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", &self.consumer_group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("session.timeout.ms", "10000")
            .set("allow.auto.create.topics", "false");
        config
    }

    /// A reader's configuration.
    pub(crate) fn reader(&self) -> ClientConfig {
        let mut config = self.consumer();
        config
            // Where a partition has lost what was asked for is decided by the reader, never by a silent jump.
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            // Offsets that hold no record are known for that by the end of the partition behind them.
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", millis(self.fetch_wait).to_string())
            .set("fetch.error.backoff.ms", "100")
            // The default of a second starves a reader that is slower than its fetcher.
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.max.bytes", (8 * 1024 * 1024).to_string())
            .set("max.partition.fetch.bytes", (1024 * 1024).to_string())
            .set("queued.min.messages", "10000")
            .set(
                "queued.max.messages.kbytes",
                (self.prefetch_bytes / 1024).max(1).to_string(),
            );
        config
    }
}

/// An API key and its secret.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The key, which is no secret.
    pub api_key: String,
    /// Its secret.
    pub api_secret: ApiSecret,
}

/// A secret that does not print itself.
#[derive(Clone)]
pub struct ApiSecret(String);

impl ApiSecret {
    /// Keeps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for ApiSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// Whole milliseconds as librdkafka takes them: at least one, at most 15 minutes.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).clamp(1, 900_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_key() -> KafkaConfig {
        KafkaConfig {
            credentials: Some(Credentials {
                api_key: "ABCDEFGH".to_owned(),
                api_secret: ApiSecret::new("hunter2/hunter2"),
            }),
            ..KafkaConfig::new("pkc-abc12.us-central1.gcp.confluent.cloud:9092")
        }
    }

    #[test]
    fn a_key_means_sasl_plain_over_tls() {
        for config in [with_key().producer(), with_key().consumer(), with_key().reader()] {
            assert_eq!(config.get("security.protocol"), Some("sasl_ssl"));
            assert_eq!(config.get("sasl.mechanisms"), Some("PLAIN"));
            assert_eq!(config.get("sasl.username"), Some("ABCDEFGH"));
            assert_eq!(config.get("sasl.password"), Some("hunter2/hunter2"));
        }
    }

    #[test]
    fn no_key_means_plaintext() {
        let config = KafkaConfig::new("127.0.0.1:9092").reader();
        assert_eq!(config.get("security.protocol"), Some("plaintext"));
        assert_eq!(config.get("sasl.mechanisms"), None);
        assert_eq!(config.get("sasl.password"), None);
    }

    #[test]
    fn librdkafka_takes_every_setting() {
        for config in [KafkaConfig::new("127.0.0.1:9092"), with_key()] {
            for native in [config.producer(), config.consumer(), config.reader()] {
                native.create_native_config().unwrap();
            }
        }
    }

    #[test]
    fn a_producer_is_idempotent_and_awaits_all_replicas() {
        let config = with_key().producer();
        for (name, value) in [
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("compression.type", "lz4"),
            ("partitioner", "murmur2_random"),
            ("message.timeout.ms", "20000"),
        ] {
            assert_eq!(config.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn a_reader_commits_nothing_and_jumps_nowhere() {
        let config = with_key().reader();
        for (name, value) in [
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
            ("fetch.queue.backoff.ms", "5"),
            ("queued.max.messages.kbytes", "16384"),
        ] {
            assert_eq!(config.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn the_secret_prints_nowhere() {
        let config = with_key();
        let printed = format!("{config:?} {:#?} {:?}", config, config.producer());
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("ABCDEFGH"));
    }
}
