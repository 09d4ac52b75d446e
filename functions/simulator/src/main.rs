//! The simulator in a process of its own.

use std::process::ExitCode;

use threatstream_platform::{Needs, main as start, mark_key};
use threatstream_simulator::{Config, Dependencies, build};

fn main() -> ExitCode {
    start(
        "simulator",
        Needs::ALL,
        |environment, reader| {
            let config = reader.absorb(Config::from_env(environment));
            let key = mark_key(reader);
            Some((config?, key?))
        },
        async |(config, mark_key), start| {
            let dependencies = Dependencies {
                backends: start.backends,
                clock: start.clock,
                mark_key,
            };
            Ok(build(config, dependencies))
        },
    )
}
