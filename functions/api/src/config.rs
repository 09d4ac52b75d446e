//! How the API behaves, from the environment.

use std::time::Duration;

use threatstream_gemini::GeminiConfig;
use threatstream_runtime::{ConfigErrors, Environment, PushAuth, Reader};

/// How the API behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it runs, as health tells it: `local`, or `cloud_run`.
    pub environment: String,
    /// Whether `GET /` is answered here. The single process answers it itself, by `Accept`, with [`information`](crate::information) or the page.
    pub mount_root: bool,
    /// Where sockets are, as `wss://relay.example.com`; `None`: at the same origin.
    pub relay_url: Option<String>,
    /// How long a probe of health may take before its part counts as down.
    pub probe_timeout: Duration,
    /// How long `POST /api/simulate/event` waits for a verdict.
    pub verdict_wait: Duration,
    /// Whether the analyzer is woken up when events came: it is one that nothing runs of between requests.
    pub wake: bool,
    /// Who may push to `POST /api/ingest/pubsub`.
    pub push: PushAuth,
    /// The model that health asks for; `None`: none is configured.
    pub gemini: Option<GeminiConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            environment: "local".to_owned(),
            mount_root: true,
            relay_url: None,
            probe_timeout: Duration::from_secs(2),
            verdict_wait: Duration::from_secs(5),
            wake: false,
            push: PushAuth::off(),
            gemini: None,
        }
    }
}

impl Config {
    /// Reads `K_SERVICE`, `RELAY_URL`, `ANALYZER_MODE`, `PUSH_AUDIENCE` and `PUSH_SERVICE_ACCOUNTS`, and what [`GeminiConfig`]
    /// reads. `ANALYZER_MODE` is the analyzer's; where it is not set, an analyzer that is to be woken up is assumed where the
    /// event log is Kafka (`EVENT_LOG`, `CONFLUENT_BOOTSTRAP_SERVERS`).
    ///
    /// # Errors
    /// Every variable that is wrong, with what is allowed.
    pub fn from_env(environment: &dyn Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let place = if reader.text("K_SERVICE").is_some() {
            "cloud_run"
        } else {
            "local"
        };
        let relay_url = reader.text("RELAY_URL").map(|url| url.trim_end_matches('/').to_owned());
        if let Some(url) = &relay_url
            && !["http://", "https://", "ws://", "wss://"]
                .iter()
                .any(|scheme| url.starts_with(scheme))
        {
            reader.problem("RELAY_URL", "expected an address such as https://relay.example.com");
        }
        let push = reader.absorb(PushAuth::from_env(environment)).unwrap_or_default();
        let gemini = reader.absorb(GeminiConfig::from_env(environment)).flatten();
        let modes = [("drain", true), ("push", false), ("worker", false)];
        let wake = reader
            .one_of("ANALYZER_MODE", &modes)
            .unwrap_or_else(|| has_kafka(&reader));
        reader.finish(Self {
            wake,
            push,
            gemini,
            environment: place.to_owned(),
            relay_url,
            ..Self::default()
        })
    }
}

/// Whether the event log is Kafka rather than a file that one process has to itself.
fn has_kafka(reader: &Reader<'_>) -> bool {
    match reader.text("EVENT_LOG") {
        Some(log) => log.eq_ignore_ascii_case("kafka"),
        None => reader.text("CONFLUENT_BOOTSTRAP_SERVERS").is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_it_runs_and_where_sockets_are() {
        assert_eq!(Config::from_env(&[("OTHER", "")]).unwrap(), Config::default());
        let config = Config::from_env(&[("K_SERVICE", "api"), ("RELAY_URL", "https://relay.example.com/")]).unwrap();
        assert_eq!(
            (config.environment.as_str(), config.relay_url.as_deref()),
            ("cloud_run", Some("https://relay.example.com"))
        );
        let errors = Config::from_env(&[("RELAY_URL", "relay")]).unwrap_err();
        assert_eq!(errors.problems()[0].variable, "RELAY_URL");
    }

    #[test]
    fn the_analyzer_is_woken_up_where_it_sleeps() {
        let wakes = |variables: &[(&str, &str)]| {
            let variables: std::collections::HashMap<String, String> = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            Config::from_env(&variables).unwrap().wake
        };
        let kafka = ("CONFLUENT_BOOTSTRAP_SERVERS", "broker:9092");
        assert!(!wakes(&[]));
        assert!(wakes(&[kafka]));
        assert!(!wakes(&[kafka, ("EVENT_LOG", "embedded")]));
        assert!(!wakes(&[kafka, ("ANALYZER_MODE", "worker")]));
        assert!(wakes(&[("ANALYZER_MODE", "drain")]));
        let errors = Config::from_env(&[("ANALYZER_MODE", "never")]).unwrap_err();
        assert_eq!(errors.problems()[0].variable, "ANALYZER_MODE");
    }
}
