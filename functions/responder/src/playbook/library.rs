//! The playbooks there are, and those that are not used and why.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use include_dir::{Dir, include_dir};
use serde::Serialize;
use threatstream_domain::Threat;

use super::Playbook;
use super::parse::MAX_BYTES;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/playbooks");

/// Every playbook by its id.
#[derive(Clone, Debug, Default)]
pub struct Library {
    playbooks: BTreeMap<String, Playbook>,
    set_aside: Vec<SetAside>,
}

/// A file that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// The file's name.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Library {
    /// Those that come with the product.
    #[must_use]
    pub fn builtin() -> Self {
        let files = BUILT_IN.files().map(|file| {
            let name = file.path().to_string_lossy().into_owned();
            (
                name,
                file.contents_utf8()
                    .ok_or_else(|| "it is not UTF-8".to_owned())
                    .map(str::to_owned),
            )
        });
        let mut library = Self::default();
        library.add(files);
        library
    }

    /// Adds the `.yml` and `.yaml` files of a folder, in the order of their names. One with the id of a playbook that is there
    /// already replaces it; of two files with one id the second is set aside.
    ///
    /// # Errors
    /// The folder cannot be read. A file that cannot be read is set aside.
    pub fn add_dir(&mut self, dir: &Path) -> std::io::Result<()> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yml" || extension == "yaml")
                && !path.is_dir()
            {
                paths.push(path);
            }
        }
        paths.sort();
        self.add(paths.into_iter().map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, read(&path))
        }));
        Ok(())
    }

    fn add(&mut self, files: impl Iterator<Item = (String, Result<String, String>)>) {
        let mut added: BTreeMap<String, String> = BTreeMap::new();
        for (file, text) in files {
            let parsed = text.and_then(|text| Playbook::parse(&text).map_err(|error| error.to_string()));
            let reason = match parsed {
                Ok(playbook) => match added.get(&playbook.id) {
                    Some(first) => format!("id: {} is already the id of {first}", playbook.id),
                    None => {
                        added.insert(playbook.id.clone(), file);
                        self.playbooks.insert(playbook.id.clone(), playbook);
                        continue;
                    }
                },
                Err(reason) => reason,
            };
            tracing::warn!(file, reason, "playbook set aside");
            self.set_aside.push(SetAside { file, reason });
        }
    }

    /// One playbook.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Playbook> {
        self.playbooks.get(id)
    }

    /// Every playbook, by id.
    pub fn playbooks(&self) -> impl ExactSizeIterator<Item = &Playbook> {
        self.playbooks.values()
    }

    /// Those that answer a threat, by id.
    pub fn answering<'a>(&'a self, threat: &'a Threat) -> impl Iterator<Item = &'a Playbook> {
        self.playbooks.values().filter(|playbook| playbook.answers(threat))
    }

    /// The files that are not used.
    #[must_use]
    pub fn set_aside(&self) -> &[SetAside] {
        &self.set_aside
    }
}

/// Reads no more than a playbook may have, so that a device or a huge file does no harm.
fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    // Asked before it is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_playbooks_are_all_good() {
        let library = Library::builtin();
        assert_eq!(library.set_aside(), []);
        let names: Vec<&str> = library.playbooks().map(|playbook| playbook.id.as_str()).collect();
        assert_eq!(names, ["pb-brute-001"]);
        for (file, playbook) in BUILT_IN.files().zip(library.playbooks()) {
            assert_eq!(file.path().file_stem().unwrap().to_str(), Some(playbook.id.as_str()));
        }
    }

    #[test]
    fn a_folder_adds_replaces_and_sets_aside() {
        let dir = tempfile::tempdir().unwrap();
        let playbook =
            |id: &str, name: &str| format!("id: {id}\nname: {name}\nsteps: [{{name: Tell, action: webhook}}]\n");
        let write = |file: &str, text: &[u8]| std::fs::write(dir.path().join(file), text).unwrap();
        write("a.yml", playbook("pb-brute-001", "Ours").as_bytes());
        write("b.yaml", playbook("pb-new", "New").as_bytes());
        write("c.yml", playbook("pb-new", "Again").as_bytes());
        write("d.yml", b"id: pb-d\nname: D\nsteps: [{name: X, action: reboot}]\n");
        write("e.yml", b"\xff\xfe");
        write("f.yml", &vec![b'#'; 1 << 20]);
        write("notes.txt", b"not a playbook");
        std::fs::create_dir(dir.path().join("folder.yml")).unwrap();
        let mut library = Library::builtin();
        library.add_dir(dir.path()).unwrap();
        assert_eq!(library.get("pb-brute-001").unwrap().name, "Ours");
        assert_eq!(library.get("pb-new").unwrap().name, "New");
        let aside: Vec<(&str, &str)> = library
            .set_aside()
            .iter()
            .map(|aside| (aside.file.as_str(), aside.reason.as_str()))
            .collect();
        let files: Vec<&str> = aside.iter().map(|(file, _)| *file).collect();
        assert_eq!(files, ["c.yml", "d.yml", "e.yml", "f.yml"]);
        assert!(
            aside[0].1.contains("b.yaml") && aside[1].1.contains("steps[0].action"),
            "{aside:?}"
        );
        assert!(library.add_dir(&dir.path().join("missing")).is_err());
    }
}
