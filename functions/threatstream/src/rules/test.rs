//! `rules test`: the tests that come with rules, in their own form and in SigmaHQ's.

mod beside;
mod regression;

use std::sync::Arc;

use serde::Serialize;
use threatstream_analyzer::rules::{RuleFile, test_files};
use threatstream_detection::pack;
use threatstream_detection::sigma::RuleSet;
use threatstream_runtime::{Environment as _, ProcessEnvironment};

use super::arguments::{ListOptions, Paths};
use super::print::{Row, list};
use super::sources;

/// What came of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Passed,
    Failed,
    /// Its events cannot be read, and it is not counted among those that passed.
    LeftOut,
}

/// A test, and what came of it.
#[derive(Debug, Serialize)]
struct Outcome {
    status: Status,
    /// The file that holds the test.
    file: String,
    rule: String,
    test: String,
    /// What was wrong, or what there is to know.
    detail: String,
}

impl Row for Outcome {
    const COLUMNS: &'static [&'static str] = &["status", "rule", "test", "detail", "file"];
    const SHOWN: &'static [&'static str] = &["status", "rule", "test", "detail"];
    const PROSE: usize = 1;

    fn cells(&self) -> Vec<String> {
        let status = match self.status {
            Status::Passed => "passed",
            Status::Failed => "FAILED",
            Status::LeftOut => "left out",
        };
        [status, &self.rule, &self.test, &self.detail, &self.file]
            .map(str::to_owned)
            .to_vec()
    }
}

#[derive(Serialize)]
struct Report<'r> {
    passed: usize,
    failed: usize,
    left_out: usize,
    tests: &'r [Outcome],
}

pub(super) fn test(options: &ListOptions) -> anyhow::Result<u8> {
    let files = sources::files(&options.rules)?;
    let rules = Arc::new(RuleSet::load(files.iter().cloned()));
    let mut outcomes = Vec::new();
    for (name, text) in tests_beside(&options.rules)? {
        outcomes.extend(beside::run(&name, &text, &rules));
    }
    for (name, text) in &files {
        outcomes.extend(regression::run(name, text, &rules)?);
    }
    let count = |status| outcomes.iter().filter(|outcome| outcome.status == status).count();
    let report = Report {
        passed: count(Status::Passed),
        failed: count(Status::Failed),
        left_out: count(Status::LeftOut),
        tests: &outcomes,
    };
    list(options.output, &outcomes, &report)?;
    let Report {
        passed,
        failed,
        left_out,
        ..
    } = report;
    if outcomes.is_empty() {
        eprintln!("there are no tests beside these rules");
    } else {
        eprintln!("{passed} passed, {failed} failed, {left_out} left out");
    }
    Ok(if failed > 0 { crate::FINDINGS } else { crate::CLEAN })
}

/// The files of tests in our own form, as [`sources::files`] finds the rules.
fn tests_beside(paths: &Paths) -> anyhow::Result<Vec<RuleFile>> {
    let mut files = Vec::new();
    if paths.paths.is_empty() {
        if !paths.no_builtin_rules {
            files.extend(pack::tests().map(|(name, text)| (name.into(), text.into())));
        }
        if let Some(folder) = ProcessEnvironment::load()?
            .get("RULES_DIR")
            .filter(|folder| !folder.is_empty())
        {
            files.extend(test_files(folder.as_ref())?);
        }
    }
    for path in &paths.paths {
        files.extend(test_files(path)?);
    }
    files.sort();
    files.dedup();
    Ok(files)
}
