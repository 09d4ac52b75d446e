//! The responder in a process of its own.

use std::process::ExitCode;

use threatstream_platform::{Needs, main as start};
use threatstream_responder::{Config, Dependencies, build};

fn main() -> ExitCode {
    start(
        "responder",
        Needs::ALL,
        |environment, reader| reader.absorb(Config::from_env(environment)),
        async |config, start| {
            let dependencies = Dependencies {
                backends: start.backends,
                clock: start.clock,
            };
            Ok(build(config, dependencies))
        },
    )
}
