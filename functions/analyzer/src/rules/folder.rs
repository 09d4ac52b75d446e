//! Rule files in a folder: a tree as it is published, with whatever lies between the rules.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::UnreadableRules;

/// Folders are followed this deep; a tree of rules is not deeper.
const MAX_DEPTH: usize = 32;
/// Of a file no more is read: it is too large for a rule, and loading says so.
const MAX_BYTES: u64 = 8 << 20;

/// The text of a rule file, with the name it is known by.
pub type RuleFile = (Cow<'static, str>, Cow<'static, str>);

/// Which files lie in a folder, and which version of each, without a look into them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Version>);

/// A file's path, its device and inode, its length, and when its content and its entry were changed, in nanoseconds.
type Version = (PathBuf, u64, u64, u64, i128, i128);

/// Every rule file of a tree, in the order of their paths: `.yml` and `.yaml`, in folders of any name that does not begin
/// with a dot, through symbolic links, each folder once. A path that names a file is that file.
///
/// What SigmaHQ keeps beside its rules is passed over: tests of rules (`regression_tests_info`, and `*.tests.yml`) and the
/// pipelines of its converter.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn read(path: &Path) -> Result<Vec<RuleFile>, UnreadableRules> {
    let mut files = Vec::new();
    for (path, _) in walk(path)? {
        let text = match text(&path) {
            Ok(text) => text,
            // It was there a moment ago: an editor replaces a file by another.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(UnreadableRules { path, source }),
        };
        if !is_beside_rules(&path, &text) {
            files.push((Cow::Owned(path.to_string_lossy().into_owned()), Cow::Owned(text)));
        }
    }
    Ok(files)
}

/// The files of a tree that hold tests of rules, `*.tests.yml`, in the order of their paths. Of a file of rules, `NAME.yml`, it is
/// `NAME.tests.yml` beside it.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn test_files(path: &Path) -> Result<Vec<RuleFile>, UnreadableRules> {
    let mut found: Vec<PathBuf> = walk(path)?.into_iter().map(|(path, _)| path).collect();
    if path.is_file() && !is_tests(path) {
        found = vec![path.with_extension("tests.yml"), path.with_extension("tests.yaml")];
        found.retain(|path| path.is_file());
    }
    let mut files = Vec::new();
    for path in found.into_iter().filter(|path| is_tests(path)) {
        let text = text(&path).map_err(|source| UnreadableRules {
            path: path.clone(),
            source,
        })?;
        files.push((Cow::Owned(path.to_string_lossy().into_owned()), Cow::Owned(text)));
    }
    Ok(files)
}

/// Which versions of which files there are.
pub(super) fn stamp(path: &Path) -> Result<Stamp, UnreadableRules> {
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let version = |(path, found): (PathBuf, Metadata)| {
        (
            path,
            found.dev(),
            found.ino(),
            found.len(),
            nanoseconds(found.mtime(), found.mtime_nsec()),
            nanoseconds(found.ctime(), found.ctime_nsec()),
        )
    };
    Ok(Stamp(walk(path)?.into_iter().map(version).collect()))
}

/// The YAML files of a tree, sorted.
fn walk(root: &Path) -> Result<Vec<(PathBuf, Metadata)>, UnreadableRules> {
    let unreadable = |path: &Path, source| UnreadableRules {
        path: path.to_owned(),
        source,
    };
    let found = std::fs::metadata(root).map_err(|source| unreadable(root, source))?;
    if !found.is_dir() {
        return Ok(vec![(root.to_owned(), found)]);
    }
    let mut files = Vec::new();
    let mut entered = HashSet::from([(found.dev(), found.ino())]);
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if depth > 0 && error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(|source| unreadable(&folder, source))?,
        };
        for entry in entries {
            let path = entry.map_err(|source| unreadable(&folder, source))?.path();
            if path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
            {
                continue;
            }
            let found = match std::fs::metadata(&path) {
                // A link to nowhere or to itself, or gone by now.
                Err(_) if std::fs::symlink_metadata(&path).map_or(true, |own| own.is_symlink()) => continue,
                found => found.map_err(|source| unreadable(&path, source))?,
            };
            if found.is_dir() {
                // A link to a folder above would lead round in circles.
                if depth < MAX_DEPTH && entered.insert((found.dev(), found.ino())) {
                    folders.push((path, depth + 1));
                }
            } else if found.is_file() && is_yaml(&path) {
                files.push((path, found));
            }
        }
    }
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(files)
}

fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yml" || extension == "yaml")
}

fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn is_tests(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.ends_with(".tests.yml") || name.ends_with(".tests.yaml")
}

/// Whether a file is known to be something else than rules.
fn is_beside_rules(path: &Path, text: &str) -> bool {
    let begins = |key: &str| text.lines().any(|line| line.starts_with(key));
    is_tests(path) || ((begins("regression_tests_info:") || begins("transformations:")) && !begins("detection:"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(root: &Path) -> Vec<String> {
        let files = read(root).unwrap();
        let name = |name: &str| {
            name.strip_prefix(&format!("{}/", root.display()))
                .unwrap_or(name)
                .to_owned()
        };
        files.iter().map(|(path, _)| name(path)).collect()
    }

    #[test]
    fn a_tree_is_read_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |path: &str, text: &str| {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        };
        write("b/deep/er/rule.yml", "title: a");
        write("a/rule.yaml", "title: b");
        write("a/README.md", "# no rule");
        write("a/rule.yml.bak", "title: old");
        write("a/rule.tests.yml", "tests: []");
        write(
            "regression_data/info.yml",
            "id: x\nregression_tests_info:\n    - type: evtx\n",
        );
        write("pipelines/p.yml", "name: p\ntransformations: []\n");
        write("broken.yml", "title: [");
        write(".github/workflows/w.yml", "on: push");
        write(".hidden.yml", "title: c");
        symlink(root, root.join("a/loop")).unwrap();
        symlink("nowhere.yml", root.join("a/dangling.yml")).unwrap();
        symlink("itself.yml", root.join("a/itself.yml")).unwrap();
        symlink(root.join("b/deep/er/rule.yml"), root.join("a/linked.yml")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.yml")).unwrap();
        assert_eq!(
            names(root),
            ["a/linked.yml", "a/rule.yaml", "b/deep/er/rule.yml", "broken.yml"]
        );
        assert_eq!(read(&root.join("broken.yml")).unwrap().len(), 1);
        assert_eq!(test_files(root).unwrap().len(), 1);
        assert_eq!(test_files(&root.join("a/rule.yaml")).unwrap().len(), 1);
        assert_eq!(test_files(&root.join("broken.yml")).unwrap().len(), 0);
    }

    #[test]
    fn a_stamp_changes_with_a_file_and_with_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yml");
        std::fs::write(&path, "title: a").unwrap();
        let first = stamp(folder.path()).unwrap();
        assert_eq!(stamp(folder.path()).unwrap(), first);
        // Another file in its place, of the same length and age, as editors and `git checkout` leave it.
        let other = folder.path().join("new");
        std::fs::write(&other, "title: b").unwrap();
        let age = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(age)
            .unwrap();
        std::fs::rename(&other, &path).unwrap();
        let second = stamp(folder.path()).unwrap();
        assert_ne!(second, first);
        std::fs::remove_file(&path).unwrap();
        assert_ne!(stamp(folder.path()).unwrap(), second);
    }
}
