//! The arguments of `threatstream rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use threatstream_detection::decode::Format;

use crate::arguments::Output;

#[derive(Debug, Args)]
pub(crate) struct RulesOptions {
    #[command(subcommand)]
    pub(crate) command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Checks that rules load, and warns of what is likely a mistake; exits with 2 when one does not load.
    Check(ListOptions),
    /// Runs the tests that come with rules; exits with 1 when one fails.
    Test(ListOptions),
    /// Lists rules and correlations.
    List(ListOptions),
    /// Says why events match rules, or what keeps them from matching.
    Explain(ExplainOptions),
}

/// Which rules.
#[derive(Debug, Args)]
pub(crate) struct Paths {
    /// Rule files, or folders of them; without any, the built-in rules and those of RULES_DIR.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Without the built-in rules.
    #[arg(long)]
    pub(crate) no_builtin_rules: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    pub(crate) rules: Paths,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainOptions {
    #[command(flatten)]
    pub(crate) rules: Paths,
    /// Events: a log file (.log .jsonl .json .gz .zip), or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) event: PathBuf,
    /// How events are read.
    #[arg(long, default_value = "auto", value_parser = crate::arguments::parse::<Format>)]
    pub(crate) format: Format,
    /// Only this rule or correlation, by id, name or title.
    #[arg(long, value_name = "RULE")]
    pub(crate) rule: Option<String>,
    /// How many of the rules that an event comes nearest to are shown.
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=100))]
    pub(crate) nearest: u16,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = ExplainOutput::Text)]
    pub(crate) output: ExplainOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainOutput {
    /// For people.
    #[value(alias = "table")]
    Text,
    /// An array, one object an event.
    Json,
    /// One object an event, each in a line.
    Ndjson,
}
