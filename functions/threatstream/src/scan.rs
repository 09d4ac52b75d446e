//! `threatstream scan`: the detector over log files, with the same rules and stages as the platform, and no platform.

pub(crate) mod input;
pub(crate) mod lines;
mod output;
pub(crate) mod pipeline;
pub(crate) mod text;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use threatstream_analyzer::rules;
use threatstream_detection::Detector;
use threatstream_detection::enrich::Networks;
use threatstream_domain::{Clock, MarkKey, Threat};

use crate::arguments::ScanOptions;
use pipeline::Pipeline;

/// Where an event was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Origin {
    /// The file as it was named; `file.zip:entry` in an archive.
    pub(crate) file: Arc<str>,
    /// The line, or the place in a JSON array, from 1.
    pub(crate) line: u64,
}

/// A threat as `scan` prints it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    pub(crate) threat: Threat,
    /// The event that completed it.
    pub(crate) origin: Origin,
    /// The platform would have counted it in its alert, and not stored it.
    pub(crate) suppressed: bool,
}

/// Runs the command: what it exits with.
pub(crate) fn scan(options: &ScanOptions) -> anyhow::Result<u8> {
    let rules = rules::load(!options.no_builtin_rules, options.rules.as_deref())?;
    for set_aside in rules.set_aside() {
        eprintln!(
            "rule set aside: {}: {}",
            text::inert(&set_aside.file),
            text::inert(&set_aside.reason.to_string())
        );
    }
    if rules.rules().is_empty() {
        eprintln!("threatstream: no rule could be loaded");
        return Ok(crate::BAD_RULES);
    }
    // No line of a file carries a mark; the key is never asked.
    let detector = Detector::new(Arc::new(rules), Networks::default(), MarkKey::new(Vec::new()));
    let progress = progress();
    let started = Instant::now();
    let mut pipeline = Pipeline::new(detector, options.format, Clock::system().now());
    let mut printer = output::Printer::new(options.output, options.min_level)?;
    let mut failed = false;
    for path in &options.files {
        let mut sink = |event: lines::Event| {
            let findings = pipeline.push(event);
            progress.set_position(pipeline.read());
            for finding in findings {
                failed |= options.fail_on.is_some_and(|level| finding.threat.severity >= level);
                printer.print(&finding)?;
            }
            Ok(())
        };
        input::read(path, &mut sink)?;
    }
    for finding in pipeline.end() {
        failed |= options.fail_on.is_some_and(|level| finding.threat.severity >= level);
        printer.print(&finding)?;
    }
    progress.finish_and_clear();
    let printed = printer.finish()?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{} events, {printed} threats, {seconds:.1} s", pipeline.read());
    if pipeline.rejected() > 0 {
        eprintln!(
            "{} lines were refused: longer than 256 KiB, or a native event with a field that does not parse",
            pipeline.rejected()
        );
    }
    Ok(if failed { crate::FINDINGS } else { crate::CLEAN })
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} events, {elapsed}");
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
