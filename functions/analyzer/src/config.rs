//! How the analyzer is started, from the environment.

use std::time::Duration;

use threatstream_runtime::{ConfigErrors, Environment, PushAuth, Reader};

/// What starts the work. One is chosen for a deployment; all run the same two stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `POST /drain`: a wake-up, or a schedule. Nothing runs between requests.
    #[default]
    Drain,
    /// `POST /`: records that a connector brings. `POST /drain` stays, as the safety net.
    Push,
    /// Both stages run for as long as the process does, and nothing is asked of them.
    Worker,
}

impl Mode {
    /// The spellings of `ANALYZER_MODE`.
    pub const NAMES: [(&str, Self); 3] = [("drain", Self::Drain), ("push", Self::Push), ("worker", Self::Worker)];
}

/// A request is answered this long before its time is up.
const MARGIN: Duration = Duration::from_secs(15);

/// How the analyzer is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What starts the work.
    pub mode: Mode,
    /// How long a request may work before it must come to its end: what takes longer is left to the next.
    pub drain_for: Duration,
    /// Who may wake it up or push.
    pub push: PushAuth,
}

impl Config {
    /// Both stages as workers, for a process that does everything.
    #[must_use]
    pub fn worker() -> Self {
        Self {
            mode: Mode::Worker,
            ..Self::default()
        }
    }

    /// Reads `ANALYZER_MODE`, `REQUEST_TIMEOUT`, `PUSH_AUDIENCE` and `PUSH_SERVICE_ACCOUNTS`.
    ///
    /// # Errors
    /// Every variable that is wrong, with what is allowed.
    pub fn from_env(environment: &dyn Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let mode = reader.one_of("ANALYZER_MODE", &Mode::NAMES).unwrap_or_default();
        let timeout = reader.duration(
            "REQUEST_TIMEOUT",
            Duration::from_secs(300),
            Duration::from_secs(1)..=Duration::from_secs(3600),
        );
        let push = reader.absorb(PushAuth::from_env(environment)).unwrap_or_default();
        reader.finish(Self {
            mode,
            drain_for: before(timeout),
            push,
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            drain_for: before(Duration::from_secs(300)),
            push: PushAuth::off(),
        }
    }
}

/// The time to work in, of the time that a request has.
fn before(timeout: Duration) -> Duration {
    timeout.saturating_sub(MARGIN).max(timeout / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_starts_the_work_and_for_how_long() {
        assert_eq!(Config::from_env(&[("OTHER", "")]).unwrap(), Config::default());
        assert_eq!(Config::default().drain_for, Duration::from_secs(285));
        let config = Config::from_env(&[("ANALYZER_MODE", "Worker"), ("REQUEST_TIMEOUT", "10")]).unwrap();
        assert_eq!((config.mode, config.drain_for), (Mode::Worker, Duration::from_secs(5)));
        let errors = Config::from_env(&[("ANALYZER_MODE", "sometimes"), ("REQUEST_TIMEOUT", "never")]).unwrap_err();
        let named: Vec<&str> = errors.problems().iter().map(|p| p.variable.as_str()).collect();
        assert_eq!(named, ["ANALYZER_MODE", "REQUEST_TIMEOUT"]);
    }
}
