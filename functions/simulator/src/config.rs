//! Whether and how hard simulations may run.

use threatstream_domain::MarkKey;
use threatstream_runtime::{ConfigErrors, Environment, PushAuth, Reader, Secret};

/// No simulation sends more events a second than this.
pub const MAX_EPS: u32 = 500;

/// The simulator's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether simulations may be started (`SIMULATION_ENABLED`).
    pub enabled: bool,
    /// The highest rate that may be asked for, in events a second, 1 to [`MAX_EPS`] (`SIMULATION_MAX_EPS`).
    pub max_eps: u32,
    /// Whether a worker of this process drives what runs. Without one, as where a process gets no time outside its requests, a
    /// simulation is driven by tasks, a slice each (`WORKERS`).
    pub workers: bool,
    /// Who may call `/tick` and `/tasks/simulate` (`PUSH_AUDIENCE`, `PUSH_SERVICE_ACCOUNTS`).
    pub push: PushAuth,
    /// The secret that marks are made with (`SIMULATION_KEY`); `None`: the platform keeps one with the data.
    pub key: Option<Secret<String>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            max_eps: MAX_EPS,
            workers: true,
            push: PushAuth::off(),
            key: None,
        }
    }
}

impl Config {
    /// Reads `SIMULATION_ENABLED`, `SIMULATION_MAX_EPS`, `SIMULATION_KEY`, what [`PushAuth`] reads, and `WORKERS`, whose default is false
    /// where `K_SERVICE` is set.
    ///
    /// # Errors
    /// Every variable that is wrong. On Cloud Run (`K_SERVICE` set) the key is required when simulation is enabled: several
    /// containers must agree on it.
    pub fn from_env(environment: &dyn Environment) -> Result<Self, ConfigErrors> {
        let default = Self::default();
        let mut reader = Reader::new(environment);
        let stays = reader.text("K_SERVICE").is_none();
        let config = Self {
            enabled: reader.boolean("SIMULATION_ENABLED", default.enabled),
            max_eps: reader.number("SIMULATION_MAX_EPS", default.max_eps, 1..=MAX_EPS),
            workers: reader.boolean("WORKERS", stays),
            push: reader.absorb(PushAuth::from_env(environment)).unwrap_or_default(),
            key: reader.secret("SIMULATION_KEY"),
        };
        if config.enabled && config.key.is_none() && !stays {
            reader.problem(
                "SIMULATION_KEY",
                "is not set; on Cloud Run the functions must share one, or set SIMULATION_ENABLED=false",
            );
        }
        reader.finish(config)
    }

    /// The key that was configured.
    #[must_use]
    pub fn mark_key(&self) -> Option<MarkKey> {
        self.key.as_ref().map(|key| MarkKey::new(key.expose().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_and_a_key_is_not_shown() {
        let config = Config::from_env(&[]).unwrap();
        assert!(config.enabled && config.max_eps == 500 && config.mark_key().is_none());
        let config = Config::from_env(&[("SIMULATION_KEY", "hush"), ("SIMULATION_MAX_EPS", "20")]).unwrap();
        assert_eq!(config.max_eps, 20);
        assert!(!format!("{config:?}").contains("hush"));
        let mark = config.mark_key().unwrap().mark("SIM-1", 0, "line");
        assert_eq!(MarkKey::new("hush").verify(&mark, "line"), Ok("SIM-1"));
    }

    #[test]
    fn every_wrong_variable_is_named() {
        let environment = [
            ("SIMULATION_ENABLED", "perhaps"),
            ("SIMULATION_MAX_EPS", "501"),
            ("K_SERVICE", "simulator"),
        ];
        let errors = Config::from_env(&environment).unwrap_err();
        let named: Vec<&str> = errors
            .problems()
            .iter()
            .map(|problem| problem.variable.as_str())
            .collect();
        assert_eq!(named, ["SIMULATION_ENABLED", "SIMULATION_MAX_EPS", "SIMULATION_KEY"]);
        assert!(Config::from_env(&[("K_SERVICE", "simulator"), ("SIMULATION_ENABLED", "false")]).is_ok());
        assert!(Config::from_env(&[("K_SERVICE", "simulator"), ("SIMULATION_KEY", "k")]).is_ok());
    }

    #[test]
    fn a_process_that_gets_no_time_outside_requests_has_no_workers() {
        fn workers<const N: usize>(environment: [(&str, &str); N]) -> bool {
            Config::from_env(&environment).unwrap().workers
        }
        assert!(workers([]));
        let (there, key) = (("K_SERVICE", "simulator"), ("SIMULATION_KEY", "k"));
        assert!(!workers([there, key]));
        assert!(workers([there, key, ("WORKERS", "true")]));
        assert!(!workers([("WORKERS", "false")]));
        let errors = Config::from_env(&[("WORKERS", "some")]).unwrap_err();
        assert_eq!(errors.problems()[0].variable, "WORKERS");
    }
}
