//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use threatstream_detection::decode::Format;
use threatstream_domain::Severity;

use crate::rules::RulesOptions;

/// Real-time threat detection: security telemetry in, threats and alerts out, live.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the whole platform; the default.
    Serve(ServeOptions),
    /// Detects in log files and prints the threats.
    Scan(ScanOptions),
    /// Checks, tests, lists and explains rules.
    Rules(RulesOptions),
    /// Runs an attack: against a running platform, or into a file.
    Simulate(SimulateOptions),
    /// Checks the configuration and reaches every backend it names.
    Doctor(DoctorOptions),
    /// Makes access tokens.
    Token(TokenOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// The address to listen on [default: 127.0.0.1].
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// The port to listen on [default: 8000].
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The folder that everything is kept in [default: ./data].
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// More rules: a folder of Sigma files, followed as they change.
    #[arg(long, value_name = "DIR")]
    pub(crate) rules: Option<PathBuf>,
    /// Without the built-in rules.
    #[arg(long)]
    pub(crate) no_builtin_rules: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScanOptions {
    /// Log files (.log .jsonl .json .gz .zip), or - for standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// How lines are read.
    #[arg(long, default_value = "auto", value_parser = parse::<Format>)]
    pub(crate) format: Format,
    /// More rules: a Sigma file, or a folder of them.
    #[arg(long, value_name = "DIR")]
    pub(crate) rules: Option<PathBuf>,
    /// Without the built-in rules.
    #[arg(long)]
    pub(crate) no_builtin_rules: bool,
    /// Print threats from this severity up: INFO, LOW, MEDIUM, HIGH or CRITICAL.
    #[arg(long, value_name = "LEVEL", default_value = "INFO", value_parser = level)]
    pub(crate) min_level: Severity,
    /// Exit with 1 when there is a threat from this severity up.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub(crate) fail_on: Option<Severity>,
    /// How threats are printed.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateOptions {
    /// Which attack, as BRUTE_FORCE or HEALTHY_FLOW.
    pub(crate) scenario: String,
    /// Events a second.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) eps: u32,
    /// How long.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) seconds: u32,
    /// The running platform that the attack is started on.
    #[arg(long, default_value = "http://127.0.0.1:8000", conflicts_with = "out")]
    pub(crate) server: String,
    /// An access token for it.
    #[arg(long, env = "THREATSTREAM_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Writes the attack's log lines to a file instead, or to standard output with -.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t = DoctorOutput::Table)]
    pub(crate) output: DoctorOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DoctorOutput {
    Table,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct TokenOptions {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Makes a token and prints it, with the line for API_TOKENS that admits it.
    New {
        /// What it may do.
        #[arg(long, value_enum)]
        role: TokenRole,
        /// Whose it is; it appears as the sender of events and the author of changes.
        #[arg(long)]
        name: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TokenRole {
    Ingest,
    Viewer,
    Analyst,
    Admin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
    Ndjson,
    Csv,
}

pub(crate) fn parse<T: std::str::FromStr<Err: ToString>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn level(text: &str) -> Result<Severity, String> {
    parse(&text.to_uppercase())
}
