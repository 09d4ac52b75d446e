//! `threatstream rules`: what a detection engineer asks of rules before they are on duty.

mod arguments;
mod check;
mod explain;
mod list;
mod print;
mod sources;
mod test;

use arguments::RulesCommand;
pub(crate) use arguments::RulesOptions;

/// Runs the command: what it exits with.
pub(crate) fn rules(command: RulesCommand) -> anyhow::Result<u8> {
    match command {
        RulesCommand::Check(options) => check::check(&options),
        RulesCommand::Test(options) => test::test(&options),
        RulesCommand::List(options) => list::list(&options),
        RulesCommand::Explain(options) => explain::explain(&options),
    }
}
