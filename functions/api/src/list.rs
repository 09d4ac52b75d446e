//! What every list takes: a limit and a cursor.

use serde::{Deserialize, Deserializer};

/// How many items a page has: 1 to 500, 50 unless asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) usize);

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse() {
            Ok(limit @ 1..=500) => Ok(Self(limit)),
            _ => Err(serde::de::Error::custom("expected a number from 1 to 500")),
        }
    }
}

/// Text of a query that is absent when it is empty.
pub(crate) fn text(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}
