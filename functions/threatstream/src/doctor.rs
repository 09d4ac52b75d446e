//! `threatstream doctor`: what is configured, and whether it answers.
//!
//! Every part that the environment names is reached for real, side by side, each within a limit of its own, so that one that
//! hangs hides nothing about the others. Nothing is sent to third parties that would disturb somebody: the webhook is not called.

mod backends;
mod finding;
mod model;
mod parts;

use anyhow::Context as _;
use threatstream_runtime::{ConfigErrors, Environment, ProcessEnvironment};

use crate::arguments::DoctorOptions;
use crate::serve::Whole;
use finding::{Finding, Report};

/// Checks, prints, and says whether all is well.
pub(crate) fn doctor(options: &DoctorOptions) -> anyhow::Result<u8> {
    let findings = match ProcessEnvironment::load() {
        Ok(environment) => examine(&environment)?,
        Err(errors) => problems(&errors),
    };
    let report = Report::new(findings);
    report
        .print(options.output)
        .context("cannot write to standard output")?;
    Ok(if report.is_well() {
        crate::CLEAN
    } else {
        crate::BAD_CONFIGURATION
    })
}

fn examine(environment: &dyn Environment) -> anyhow::Result<Vec<Finding>> {
    let mut findings = match Whole::from_env(environment) {
        Ok(_) => vec![Finding::ok("configuration", "every variable is understood")],
        Err(errors) => problems(&errors),
    };
    findings.extend(parts::examine(environment));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let reached = runtime.block_on(async { tokio::join!(model::examine(environment), backends::examine(environment)) });
    findings.push(reached.0);
    findings.extend(reached.1);
    // A client that still waits for an answer must not keep us.
    runtime.shutdown_background();
    Ok(findings)
}

fn problems(errors: &ConfigErrors) -> Vec<Finding> {
    errors
        .problems()
        .iter()
        .map(|problem| {
            Finding::failed("configuration", format!("{}: {}", problem.variable, problem.message))
                .advise(".env.example has every variable, with its meaning and its default")
        })
        .collect()
}
