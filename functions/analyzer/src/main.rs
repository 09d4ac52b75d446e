//! The analyzer in a process of its own.

use std::process::ExitCode;
use std::sync::Arc;

use threatstream_analyzer::rules::{LiveDetector, RulesConfig};
use threatstream_analyzer::{Config, Dependencies, Mode, build};
use threatstream_detection::enrich::Networks;
use threatstream_platform::{Needs, main as start, mark_key};

fn main() -> ExitCode {
    start(
        "analyzer",
        Needs::ALL,
        |environment, reader| {
            let config = reader.absorb(Config::from_env(environment));
            let key = mark_key(reader);
            let rules = RulesConfig::from_env(reader);
            Some((config?, rules, key?))
        },
        async |(config, rules, mark_key), start| {
            // Thousands of rules take a second, and the port listens already.
            let load = move || LiveDetector::load(rules, Networks::default(), mark_key);
            let detector = Arc::new(tokio::task::spawn_blocking(load).await??);
            let follows = config.mode == Mode::Worker;
            let dependencies = Dependencies {
                backends: start.backends,
                clock: start.clock,
                detector: detector.clone(),
                owner: start.owner,
            };
            let function = build(config, dependencies);
            // What a request starts must not go on behind it: there a new container reads the rules.
            Ok(if follows {
                function.worker("rules", move |stop| detector.clone().follow(stop))
            } else {
                function
            })
        },
    )
}
