//! The rules that come with the product: Sigma files under `rules/`, part of the binary.

use include_dir::{Dir, include_dir};

static RULES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/rules");

/// The ending of a file that holds tests of the rules beside it.
const TESTS: &str = ".tests.yml";

/// Every built-in rule file, as `(path below rules/, YAML)`, in the order of their paths. A file may hold several
/// documents: a correlation with the rules it counts.
pub fn builtin() -> impl Iterator<Item = (&'static str, &'static str)> {
    files().filter(|(name, _)| !name.ends_with(TESTS))
}

/// The tests of the built-in rules ([`rule_tests`](crate::rule_tests)), as [`builtin`] gives the rules.
pub fn tests() -> impl Iterator<Item = (&'static str, &'static str)> {
    files().filter(|(name, _)| name.ends_with(TESTS))
}

fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut files = Vec::new();
    gather(&RULES, &mut files);
    files.sort_unstable();
    files.into_iter()
}

fn gather(dir: &'static Dir<'static>, files: &mut Vec<(&'static str, &'static str)>) {
    for file in dir.files() {
        let path = file.path();
        if path.extension().is_some_and(|extension| extension == "yml")
            && let (Some(name), Some(yaml)) = (path.to_str(), file.contents_utf8())
        {
            files.push((name, yaml));
        }
    }
    for inner in dir.dirs() {
        gather(inner, files);
    }
}
