//! Log lines: text for people, JSON for Cloud Logging.

mod format;
mod trace;

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;

pub use format::{LogFormat, dispatch};
pub(crate) use trace::join as join_trace;

use crate::environment::{ConfigErrors, Environment, Reader};

/// What keeps logging alive; keep it until the process ends.
#[derive(Debug)]
#[must_use = "logging ends with the guard"]
pub struct Guard(());

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Wrong variables.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The process logs already.
    #[error("logging is already set up")]
    Twice,
}

/// How to log, from the environment.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Text or Cloud Logging's JSON.
    pub format: LogFormat,
    /// What is logged: a level for all, or levels by module.
    pub filter: Targets,
    /// The project that traces belong to.
    pub project: Option<String>,
    /// Whether text is coloured.
    pub ansi: bool,
}

impl LogConfig {
    /// Reads `LOG_FORMAT` (`text` or `stackdriver`; the default is `stackdriver` when `K_SERVICE` is set), `LOG_LEVEL` (a level, or
    /// directives such as `info,my_crate=debug`), `DEBUG` (the default level is then DEBUG), `GOOGLE_CLOUD_PROJECT` and `NO_COLOR`.
    ///
    /// # Errors
    /// Every variable that is wrong.
    pub fn from_env(environment: &dyn Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let default = if reader.text("K_SERVICE").is_some() {
            LogFormat::Stackdriver
        } else {
            LogFormat::Text
        };
        let format = reader.one_of(
            "LOG_FORMAT",
            &[("text", LogFormat::Text), ("stackdriver", LogFormat::Stackdriver)],
        );
        let level = if reader.boolean("DEBUG", false) {
            LevelFilter::DEBUG
        } else {
            LevelFilter::INFO
        };
        let filter = match reader.text("LOG_LEVEL") {
            None => plain(level),
            Some(text) => match (text.parse::<LevelFilter>(), text.parse::<Targets>()) {
                (Ok(level), _) => plain(level),
                (_, Ok(targets)) if text.contains('=') => targets,
                _ => {
                    let message = "expected OFF, ERROR, WARN, INFO, DEBUG or TRACE, or levels by module such as info,my_crate=debug";
                    reader.problem("LOG_LEVEL", message);
                    plain(level)
                }
            },
        };
        let project = reader.text("GOOGLE_CLOUD_PROJECT");
        let ansi = reader.text("NO_COLOR").is_none() && std::io::stderr().is_terminal();
        reader.finish(Self {
            format: format.unwrap_or(default),
            filter,
            project,
            ansi,
        })
    }
}

/// One level for everything, except for libraries that say at DEBUG what only their authors need.
fn plain(level: LevelFilter) -> Targets {
    let quiet = level.min(LevelFilter::INFO);
    let libraries = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tonic", "tower"];
    Targets::new()
        .with_default(level)
        .with_targets(libraries.map(|library| (library, quiet)))
}

/// Sets up logging for the process, to stderr, and has panics logged like everything else.
///
/// # Errors
/// Wrong variables, or logging was set up before.
pub fn init(environment: &dyn Environment) -> Result<Guard, TelemetryError> {
    let config = LogConfig::from_env(environment)?;
    tracing::dispatcher::set_global_default(dispatch(&config, std::io::stderr)).map_err(|_| TelemetryError::Twice)?;
    if config.format == LogFormat::Stackdriver && config.project.is_none() {
        tracing::warn!("GOOGLE_CLOUD_PROJECT is not set, so that log lines do not name their traces");
    }
    std::panic::set_hook(Box::new(|panic| {
        let message = crate::guard::panic_message(panic.payload());
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        let backtrace =
            (backtrace.status() == std::backtrace::BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(panic = message, location, backtrace, "panic");
    }));
    Ok(Guard(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_environment() {
        let read = |variables: &[(&str, &str)]| {
            let map: std::collections::HashMap<String, String> = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            LogConfig::from_env(&map)
        };
        let enabled = |config: &LogConfig, target: &str, level| config.filter.would_enable(target, &level);
        let local = read(&[]).unwrap();
        assert_eq!(local.format, LogFormat::Text);
        assert!(enabled(&local, "x", tracing::Level::INFO) && !enabled(&local, "x", tracing::Level::DEBUG));
        let debug = read(&[("DEBUG", "true")]).unwrap();
        assert!(enabled(&debug, "x", tracing::Level::DEBUG) && !enabled(&debug, "hyper::proto", tracing::Level::DEBUG));
        let cloud = read(&[
            ("K_SERVICE", "api"),
            ("LOG_LEVEL", "warn,x=trace"),
            ("GOOGLE_CLOUD_PROJECT", "p"),
        ])
        .unwrap();
        assert_eq!(cloud.format, LogFormat::Stackdriver);
        assert!(enabled(&cloud, "x", tracing::Level::TRACE) && !enabled(&cloud, "y", tracing::Level::INFO));
        let errors = read(&[("LOG_FORMAT", "xml"), ("LOG_LEVEL", "loud"), ("DEBUG", "2")]).unwrap_err();
        assert_eq!(errors.problems().len(), 3, "{errors}");
    }
}
