//! The rule files that a command is about.

use anyhow::Context as _;
use threatstream_analyzer::rules::{RuleFile, builtin_files, read};
use threatstream_detection::sigma::RuleSet;
use threatstream_runtime::{Environment as _, ProcessEnvironment};

use super::arguments::Paths;
use crate::scan::text::inert;

/// The files that were named, or else the built-in ones and those of `RULES_DIR`.
pub(super) fn files(paths: &Paths) -> anyhow::Result<Vec<RuleFile>> {
    let mut files = Vec::new();
    if paths.paths.is_empty() {
        if !paths.no_builtin_rules {
            files.extend(builtin_files());
        }
        if let Some(folder) = ProcessEnvironment::load()?
            .get("RULES_DIR")
            .filter(|folder| !folder.is_empty())
        {
            files.extend(read(folder.as_ref()).context("RULES_DIR")?);
        }
    }
    for path in &paths.paths {
        files.extend(read(path)?);
    }
    // A file that is named twice, by itself and with its folder, is one.
    files.sort();
    files.dedup();
    Ok(files)
}

/// The rules that load; what does not is told on stderr. `None`: there are none.
pub(super) fn load(paths: &Paths) -> anyhow::Result<Option<RuleSet>> {
    let rules = RuleSet::load(files(paths)?);
    for aside in rules.set_aside() {
        eprintln!("rule set aside: {}: {}", inert(&aside.file), inert(&aside.reason));
    }
    if rules.rules().is_empty() {
        eprintln!("threatstream: no rule could be loaded");
        return Ok(None);
    }
    Ok(Some(rules))
}
