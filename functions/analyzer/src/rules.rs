//! The rule set: the built-in rules, and those of a folder.

mod folder;
mod live;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use threatstream_detection::pack;
use threatstream_detection::sigma::RuleSet;
use threatstream_runtime::Reader;

pub use folder::{RuleFile, read, test_files};
pub use live::{DetectorSource, LiveDetector, Reload};

/// Which rules, and how they are followed.
#[derive(Clone, Debug)]
pub struct RulesConfig {
    /// With the built-in rules (`BUILTIN_RULES`).
    pub builtin: bool,
    /// A folder of more rules (`RULES_DIR`).
    pub folder: Option<PathBuf>,
    /// How often the folder is looked at (`RULES_RELOAD_INTERVAL`); zero: on SIGHUP alone.
    pub reload_interval: Duration,
}

impl RulesConfig {
    /// Reads the variables; what is wrong with them is left with the reader.
    pub fn from_env(reader: &mut Reader<'_>) -> Self {
        let builtin = reader.boolean("BUILTIN_RULES", true);
        let folder = reader.text("RULES_DIR").map(PathBuf::from);
        if !builtin && folder.is_none() {
            reader.problem("BUILTIN_RULES", "false leaves no rules: RULES_DIR is not set");
        }
        Self {
            builtin,
            folder,
            reload_interval: reader.duration("RULES_RELOAD_INTERVAL", RELOAD_INTERVAL, Duration::ZERO..=MAX_INTERVAL),
        }
    }
}

/// Somebody who writes rules waits no longer for them.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
const MAX_INTERVAL: Duration = Duration::from_secs(86_400);

/// Why the rules of a folder cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the rules in {} cannot be read", path.display())]
pub struct UnreadableRules {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Loads rules: the built-in ones, unless told otherwise, and those of a folder ([`read`]). Rules that do not load are set
/// aside in the set, with their reasons.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn load(builtin: bool, folder: Option<&Path>) -> Result<RuleSet, UnreadableRules> {
    let mut files = Vec::new();
    if builtin {
        files.extend(builtin_files());
    }
    if let Some(folder) = folder {
        files.extend(read(folder)?);
    }
    Ok(RuleSet::load(files))
}

/// The files of the built-in rules.
pub fn builtin_files() -> impl Iterator<Item = RuleFile> {
    pack::builtin().map(|(name, yaml)| (Cow::Borrowed(name), Cow::Borrowed(yaml)))
}

/// Logs what was loaded, and each rule that was set aside with its reason.
pub fn tell(rules: &RuleSet) {
    for set_aside in rules.set_aside() {
        tracing::warn!(file = set_aside.file, reason = %set_aside.reason, "rule set aside");
    }
    tracing::info!(
        rules = rules.rules().len(),
        correlations = rules.correlations().len(),
        set_aside = rules.set_aside().len(),
        hash = rules.hash(),
        "rules loaded"
    );
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
