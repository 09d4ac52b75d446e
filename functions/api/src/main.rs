//! The api in a process of its own.

use std::process::ExitCode;

use threatstream_api::{Config, Dependencies, build, probe_builtin_rules};
use threatstream_platform::{Needs, main as start};

fn main() -> ExitCode {
    start(
        "api",
        Needs::ALL,
        |environment, reader| reader.absorb(Config::from_env(environment)),
        async |config, start| {
            let dependencies = Dependencies {
                backends: start.backends,
                clock: start.clock,
                rules: probe_builtin_rules(),
                tickets: start.tickets,
            };
            Ok(build(config, dependencies))
        },
    )
}
