//! `rules check`: what does not load, and what loads and is likely a mistake.

use serde::Serialize;
use threatstream_detection::sigma::{RuleSet, SetAside, Warning, lint};

use super::arguments::ListOptions;
use super::print::{Row, list};
use super::sources;

/// All that was found.
#[derive(Serialize)]
struct Report<'r> {
    /// Rules and correlations.
    loaded: usize,
    set_aside: &'r [SetAside],
    warnings: &'r [Warning],
    hash: &'r str,
}

/// One thing that was found.
#[derive(Serialize)]
struct Finding<'r> {
    kind: &'static str,
    file: &'r str,
    rule: Option<&'r str>,
    reason: &'r str,
}

impl Row for Finding<'_> {
    const COLUMNS: &'static [&'static str] = &["kind", "file", "rule", "reason"];
    const SHOWN: &'static [&'static str] = Self::COLUMNS;
    const PROSE: usize = 1;

    fn cells(&self) -> Vec<String> {
        [self.kind, self.file, self.rule.unwrap_or_default(), self.reason]
            .map(str::to_owned)
            .to_vec()
    }
}

pub(super) fn check(options: &ListOptions) -> anyhow::Result<u8> {
    let files = sources::files(&options.rules)?;
    let warnings = lint(files.iter().cloned());
    let rules = RuleSet::load(files);
    let report = Report {
        loaded: rules.rules().len() + rules.correlations().len(),
        set_aside: rules.set_aside(),
        warnings: &warnings,
        hash: rules.hash(),
    };
    let aside = report.set_aside.iter().map(|aside| Finding {
        kind: "set aside",
        file: &aside.file,
        rule: None,
        reason: &aside.reason,
    });
    let warned = report.warnings.iter().map(|warning| Finding {
        kind: "warning",
        file: &warning.file,
        rule: warning.rule.as_deref(),
        reason: &warning.reason,
    });
    let findings: Vec<_> = aside.chain(warned).collect();
    list(options.output, &findings, &report)?;
    let (aside, warned) = (report.set_aside.len(), report.warnings.len());
    eprintln!("{} rules loaded, {aside} set aside, {warned} warnings", report.loaded);
    Ok(if aside > 0 { crate::BAD_RULES } else { crate::CLEAN })
}
