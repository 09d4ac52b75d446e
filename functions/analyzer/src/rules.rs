//! The rule set: the built-in rules, and those of a folder.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use threatstream_detection::pack;
use threatstream_detection::sigma::RuleSet;

/// Folders are followed this deep; a tree of rules is not deeper.
const MAX_DEPTH: usize = 16;

/// Why the rules of a folder cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the rules in {} cannot be read", path.display())]
pub struct UnreadableRules {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Loads rules: the built-in ones, unless told otherwise, and every `.yml` and `.yaml` under a folder. Rules that do not load
/// are set aside in the set, with their reasons.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn load(builtin: bool, folder: Option<&Path>) -> Result<RuleSet, UnreadableRules> {
    let mut files: Vec<(Cow<'static, str>, Cow<'static, str>)> = Vec::new();
    if builtin {
        files.extend(pack::builtin().map(|(name, yaml)| (Cow::Borrowed(name), Cow::Borrowed(yaml))));
    }
    if let Some(folder) = folder {
        let mut paths = Vec::new();
        collect(folder, 0, &mut paths)?;
        paths.sort();
        for path in paths {
            let bytes = std::fs::read(&path).map_err(|source| UnreadableRules {
                path: path.clone(),
                source,
            })?;
            let name = path.to_string_lossy().into_owned();
            files.push((
                Cow::Owned(name),
                Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
            ));
        }
    }
    Ok(RuleSet::load(files))
}

/// Logs what was loaded, and each rule that was set aside with its reason.
pub fn tell(rules: &RuleSet) {
    for set_aside in rules.set_aside() {
        tracing::warn!(file = set_aside.file, reason = %set_aside.reason, "rule set aside");
    }
    tracing::info!(
        rules = rules.rules().len(),
        correlations = rules.correlations().len(),
        hash = rules.hash(),
        "rules loaded"
    );
}

fn collect(path: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), UnreadableRules> {
    let unreadable = |source| UnreadableRules {
        path: path.to_owned(),
        source,
    };
    if path.is_file() {
        if depth == 0
            || path
                .extension()
                .is_some_and(|extension| extension == "yml" || extension == "yaml")
        {
            paths.push(path.to_owned());
        }
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(unreadable)?;
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        if depth < MAX_DEPTH {
            collect(&entry.path(), depth + 1, paths)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_rules_all_load() {
        let rules = load(true, None).unwrap();
        assert!(rules.set_aside().is_empty(), "{:?}", rules.set_aside());
        assert!(rules.rules().len() >= 25, "{}", rules.rules().len());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = load(false, Some(Path::new("/no/such/rules"))).unwrap_err();
        assert!(error.to_string().contains("/no/such/rules"));
    }
}
