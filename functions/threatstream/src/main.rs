//! ThreatStream: the whole platform in one process, and the command line.

mod arguments;
mod doctor;
mod page;
mod rules;
mod scan;
mod serve;
mod simulate;
mod token;

use std::process::ExitCode;

use clap::Parser;
use threatstream_runtime::{Overrides, ProcessEnvironment};

use arguments::{Arguments, Command};

/// Nothing found, nothing wrong.
const CLEAN: u8 = 0;
/// Something was found that the caller asked to fail on.
const FINDINGS: u8 = 1;
/// The rules asked for do not load.
const BAD_RULES: u8 = 2;
/// Wrong arguments or variables, or something the command needs is not there.
const BAD_CONFIGURATION: u8 = 3;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to tell when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { BAD_CONFIGURATION } else { CLEAN });
        }
    };
    match run(arguments) {
        Ok(code) => ExitCode::from(code),
        // Whoever reads our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::from(CLEAN),
        Err(error) => {
            eprintln!("threatstream: {error:#}");
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn run(arguments: Arguments) -> anyhow::Result<u8> {
    match arguments.command.unwrap_or(Command::Serve(arguments.serve)) {
        Command::Serve(options) => {
            let environment = Overrides::new(ProcessEnvironment::load()?)
                .with("API_HOST", options.host)
                .with("PORT", options.port.map(|port| port.to_string()))
                .with(
                    "THREATSTREAM_DATA",
                    options.data.map(|data| data.to_string_lossy().into_owned()),
                )
                .with(
                    "RULES_DIR",
                    options.rules.map(|rules| rules.to_string_lossy().into_owned()),
                )
                .with("BUILTIN_RULES", options.no_builtin_rules.then_some("false"));
            serve::serve(&environment)?;
            Ok(CLEAN)
        }
        Command::Scan(options) => scan::scan(&options),
        Command::Rules(options) => rules::rules(options.command),
        Command::Simulate(options) => simulate::simulate(&options),
        Command::Doctor(options) => doctor::doctor(&options),
        Command::Token(options) => token::new(&options),
    }
}
