//! Where Kafka is, and by which key it is spoken to.

use std::time::Duration;

use threatstream_runtime::{Reader, Secret};

/// Where Kafka is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `CONFLUENT_BOOTSTRAP_SERVERS`: `host:port`, several joined by commas.
    pub bootstrap_servers: String,
    /// `CONFLUENT_API_KEY` and `CONFLUENT_API_SECRET`; without them the connection is plaintext.
    pub credentials: Option<(String, Secret<String>)>,
    /// `CONFLUENT_CLUSTER_ID`, to tell where the cluster does not say it itself.
    pub cluster_id: Option<String>,
    /// `KAFKA_CONSUMER_GROUP`: what progress is reported under, for monitoring.
    pub consumer_group: String,
    /// `KAFKA_FETCH_WAIT`: how long a broker may hold a fetch that finds nothing new.
    pub fetch_wait: Duration,
}

impl KafkaSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let bootstrap_servers = reader.required(
            "CONFLUENT_BOOTSTRAP_SERVERS",
            "EVENT_LOG=kafka needs the brokers, as pkc-abc12.us-central1.gcp.confluent.cloud:9092",
        );
        let wrong = |server: &str| !is_host_and_port(server.trim());
        if !bootstrap_servers.is_empty() && bootstrap_servers.split(',').any(wrong) {
            reader.problem(
                "CONFLUENT_BOOTSTRAP_SERVERS",
                "expected host:port without a scheme, several joined by commas",
            );
        }
        let credentials = match (reader.text("CONFLUENT_API_KEY"), reader.secret("CONFLUENT_API_SECRET")) {
            (Some(key), Some(secret)) => Some((key, secret)),
            (None, None) => None,
            (Some(_), None) => {
                reader.problem("CONFLUENT_API_SECRET", "is not set, but CONFLUENT_API_KEY is");
                None
            }
            (None, Some(_)) => {
                reader.problem("CONFLUENT_API_KEY", "is not set, but CONFLUENT_API_SECRET is");
                None
            }
        };
        Self {
            bootstrap_servers,
            credentials,
            cluster_id: reader.text("CONFLUENT_CLUSTER_ID"),
            consumer_group: reader.text_or("KAFKA_CONSUMER_GROUP", "threatstream-analyzer"),
            fetch_wait: reader.duration(
                "KAFKA_FETCH_WAIT",
                Duration::from_millis(500),
                Duration::from_millis(5)..=Duration::from_secs(10),
            ),
        }
    }

    /// A key without brokers asks for Kafka and cannot have it.
    pub(super) fn refuse_orphans(reader: &mut Reader<'_>) {
        for variable in ["CONFLUENT_API_KEY", "CONFLUENT_API_SECRET"] {
            if reader.text(variable).is_some() {
                reader.problem(
                    variable,
                    "is set without CONFLUENT_BOOTSTRAP_SERVERS; set that too, or EVENT_LOG=embedded",
                );
            }
        }
    }
}

/// Whether it is a host, or an address, and a port.
pub(super) fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_plain = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    host_is_plain && digits && port.parse::<u16>().is_ok_and(|port| port > 0)
}
