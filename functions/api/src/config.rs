//! How the API behaves, from the environment.

use std::time::Duration;

use threatstream_runtime::{ConfigErrors, Environment, Reader};

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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            environment: "local".to_owned(),
            mount_root: true,
            relay_url: None,
            probe_timeout: Duration::from_secs(2),
            verdict_wait: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Reads `K_SERVICE` and `RELAY_URL`.
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
        reader.finish(Self {
            environment: place.to_owned(),
            relay_url,
            ..Self::default()
        })
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
}
