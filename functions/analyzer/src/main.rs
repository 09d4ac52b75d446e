//! The analyzer in a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use threatstream_analyzer::{Config, Dependencies, build, rules};
use threatstream_detection::Detector;
use threatstream_detection::enrich::Networks;
use threatstream_platform::{Needs, main as start, mark_key};

fn main() -> ExitCode {
    start(
        "analyzer",
        Needs::ALL,
        |environment, reader| {
            let config = reader.absorb(Config::from_env(environment));
            let key = mark_key(reader);
            let folder = reader.text("RULES_DIR").map(PathBuf::from);
            Some((config?, folder, key?))
        },
        async |(config, folder, mark_key), start| {
            // Thousands of rules take a second, and the port listens already.
            let load = move || rules::load(true, folder.as_deref());
            let rules = tokio::task::spawn_blocking(load).await??;
            rules::tell(&rules);
            let detector = Detector::new(Arc::new(rules), Networks::default(), mark_key);
            let dependencies = Dependencies {
                backends: start.backends,
                clock: start.clock,
                detector: Arc::new(detector),
                owner: start.owner,
            };
            Ok(build(config, dependencies))
        },
    )
}
