//! The relay in a process of its own.

use std::process::ExitCode;

use threatstream_platform::{Needs, main as start};
use threatstream_relay::{Config, Dependencies, build};

fn main() -> ExitCode {
    start(
        "relay",
        Needs::STORE,
        |_, reader| Some(Config::from_env(reader)),
        async |config, start| {
            let dependencies = Dependencies {
                backends: start.backends,
                clock: start.clock,
            };
            Ok(build(config, dependencies))
        },
    )
}
