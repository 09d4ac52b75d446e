//! The process's own variables, over those of a `.env` file.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use super::{ConfigErrors, Environment, dotenv};

/// Variables of the process, and beneath them those of the `.env` file in the working directory.
#[derive(Clone)]
pub struct ProcessEnvironment {
    file: HashMap<String, String>,
}

impl ProcessEnvironment {
    /// Reads `.env` in the working directory, if there is one.
    ///
    /// # Errors
    /// A `.env` that cannot be read or has a line that is no assignment: ignoring it would start with half a configuration.
    pub fn load() -> Result<Self, ConfigErrors> {
        Self::with_file(Path::new(".env"))
    }

    /// The same with a file of another name.
    ///
    /// # Errors
    /// As [`ProcessEnvironment::load`].
    pub fn with_file(path: &Path) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(ConfigErrors::one(&name, format!("cannot be read: {error}"))),
        };
        let file = dotenv::parse(&text).map_err(|error| ConfigErrors::one(&name, error.to_string()))?;
        Ok(Self {
            file: file.into_iter().collect(),
        })
    }
}

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        // A value that is not UTF-8 is kept with replacement characters, so that its parser refuses it by name.
        match std::env::var_os(name) {
            Some(value) => Some(value.to_string_lossy().into_owned()),
            None => self.file.get(name).cloned(),
        }
    }
}

/// Shows the names alone: the values hold keys.
impl std::fmt::Debug for ProcessEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessEnvironment")
            .field("file", &self.file.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_wins_over_the_file_and_a_missing_file_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "PATH=from the file\nONLY_IN_THE_FILE='a b'\n").unwrap();
        let environment = ProcessEnvironment::with_file(&path).unwrap();
        assert_eq!(environment.get("ONLY_IN_THE_FILE").as_deref(), Some("a b"));
        assert_eq!(environment.get("PATH"), std::env::var("PATH").ok());
        assert!(!format!("{environment:?}").contains("a b"));

        let missing = ProcessEnvironment::with_file(&folder.path().join("none")).unwrap();
        assert_eq!(missing.get("ONLY_IN_THE_FILE"), None);
    }

    #[test]
    fn a_broken_file_is_an_error_that_names_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "A=1\nthis is no assignment\n").unwrap();
        let error = ProcessEnvironment::with_file(&path).unwrap_err().to_string();
        assert!(error.contains(".env") && error.contains("line 2"), "{error}");
    }
}
