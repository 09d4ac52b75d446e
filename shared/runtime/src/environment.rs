//! The only place that reads the environment.
//!
//! Configuration is read through [`Environment`], so that tests replace it, and through [`Reader`], which parses typed values and
//! collects every problem instead of stopping at the first. Order of precedence: flag ([`Overrides`]), process, `.env` file.

mod dotenv;
mod process;
mod reader;
mod secret;

use std::collections::{BTreeMap, HashMap};

pub use dotenv::{DotenvError, parse as parse_dotenv};
pub use process::ProcessEnvironment;
pub use reader::{ConfigErrors, ConfigProblem, Reader};
pub use secret::Secret;

/// Where configuration comes from.
pub trait Environment: Send + Sync {
    /// The variable's value, or `None` when it is not set.
    fn get(&self, name: &str) -> Option<String>;
}

impl Environment for HashMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

impl Environment for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

impl<const N: usize> Environment for [(&str, &str); N] {
    fn get(&self, name: &str) -> Option<String> {
        self.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    }
}

impl<E: Environment + ?Sized> Environment for &E {
    fn get(&self, name: &str) -> Option<String> {
        (**self).get(name)
    }
}

/// Values from the command line over another environment.
#[derive(Debug, Clone)]
pub struct Overrides<E> {
    values: BTreeMap<String, String>,
    inner: E,
}

impl<E: Environment> Overrides<E> {
    /// Nothing overridden yet.
    pub fn new(inner: E) -> Self {
        Self {
            values: BTreeMap::new(),
            inner,
        }
    }

    /// Sets `name` when the flag was given.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<impl Into<String>>) -> Self {
        if let Some(value) = value {
            self.values.insert(name.to_owned(), value.into());
        }
        self
    }
}

impl<E: Environment> Environment for Overrides<E> {
    fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned().or_else(|| self.inner.get(name))
    }
}
