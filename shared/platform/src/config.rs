//! Which backends, from the environment.

use std::path::PathBuf;
use std::time::Duration;

use threatstream_backend::Topics;
use threatstream_runtime::{ConfigErrors, Environment, Reader};

const DAY: Duration = Duration::from_secs(86_400);

/// What to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformConfig {
    /// The folder of the embedded file.
    pub data: PathBuf,
    /// What the topics are called.
    pub topics: Topics,
    /// How many partitions a topic gets when it is made.
    pub partitions: u32,
    /// The cap of the embedded log, in bytes.
    pub max_log_bytes: u64,
    /// How long the embedded log keeps what has been analysed.
    pub retention: Duration,
}

impl PlatformConfig {
    /// Reads the variables of the backends.
    ///
    /// # Errors
    /// Every variable that is wrong, or asks for a backend that cannot be had.
    pub fn from_env(environment: &dyn Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let kinds = [
            ("EVENT_LOG", "kafka", "CONFLUENT_BOOTSTRAP_SERVERS"),
            ("STORE", "firestore", "GOOGLE_CLOUD_PROJECT"),
            ("TASK_QUEUE", "pubsub", "GOOGLE_CLOUD_PROJECT"),
        ];
        for (variable, cloud, implied_by) in kinds {
            let chosen = reader.one_of(variable, &[("embedded", "embedded"), (cloud, cloud)]);
            if chosen == Some(cloud) {
                reader.problem(
                    variable,
                    format!("this build has the embedded backends only, not {cloud}"),
                );
            } else if chosen.is_none() && reader.text(implied_by).is_some() {
                reader.problem(
                    implied_by,
                    format!(
                        "asks for {cloud}, which this build has not; set {variable}=embedded to keep to one machine"
                    ),
                );
            }
            if chosen != Some(cloud) && reader.text("K_SERVICE").is_some() {
                reader.problem(
                    variable,
                    "must name a backend outside the container: on Cloud Run nothing embedded lasts",
                );
            }
        }
        let topics = Topics::default();
        let topics = Topics {
            raw: reader.text_or("KAFKA_RAW_TOPIC", &topics.raw),
            matches: reader.text_or("KAFKA_MATCHES_TOPIC", &topics.matches),
            analyzed: reader.text_or("KAFKA_ANALYZED_TOPIC", &topics.analyzed),
            alerts: reader.text_or("KAFKA_ALERTS_TOPIC", &topics.alerts),
            metrics: reader.text_or("KAFKA_METRICS_TOPIC", &topics.metrics),
            dead_letters: reader.text_or("KAFKA_DEAD_LETTER_TOPIC", &topics.dead_letters),
        };
        let config = Self {
            data: reader.text_or("THREATSTREAM_DATA", "./data").into(),
            topics,
            partitions: reader.number("LOG_PARTITIONS", 4, 1..=1024),
            max_log_bytes: reader.number("LOG_MAX_BYTES", 8 << 30, 1 << 20..=u64::MAX),
            retention: reader.duration("LOG_RETENTION", 7 * DAY, Duration::from_secs(60)..=3650 * DAY),
        };
        reader.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<PlatformConfig, ConfigErrors> {
        let environment: HashMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        PlatformConfig::from_env(&environment)
    }

    #[test]
    fn nothing_set_is_one_machine() {
        let config = config(&[]).unwrap();
        assert_eq!((config.data, config.partitions), (PathBuf::from("./data"), 4));
    }

    #[test]
    fn a_backend_that_is_not_there_is_an_error_and_never_memory() {
        let error = config(&[("CONFLUENT_BOOTSTRAP_SERVERS", "broker:9092"), ("STORE", "mongodb")]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("CONFLUENT_BOOTSTRAP_SERVERS") && text.contains("STORE"),
            "{text}"
        );
        let error = config(&[("K_SERVICE", "api")]).unwrap_err().to_string();
        for variable in ["EVENT_LOG", "STORE", "TASK_QUEUE"] {
            assert!(error.contains(variable), "{error}");
        }
        assert!(
            config(&[
                ("GOOGLE_CLOUD_PROJECT", "p"),
                ("STORE", "embedded"),
                ("TASK_QUEUE", "embedded")
            ])
            .is_ok()
        );
    }
}
