//! Typed reading that collects every problem.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::{Environment, Secret};

/// What is wrong with one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The variable, or the file.
    pub variable: String,
    /// What is wrong with it and what is allowed. Secrets are not repeated.
    pub message: String,
}

/// Everything that is wrong with the configuration. `Display` lists it, one variable a line. Trying again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigProblem>);

impl ConfigErrors {
    pub(crate) fn one(variable: &str, message: impl Into<String>) -> Self {
        Self(vec![ConfigProblem {
            variable: variable.to_owned(),
            message: message.into(),
        }])
    }

    /// The problems, at least one.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.0
    }

    /// Both lists as one, so that several configurations fail together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the configuration has {} problem{}",
            self.0.len(),
            if self.0.len() == 1 { "" } else { "s" }
        )?;
        for ConfigProblem { variable, message } in &self.0 {
            write!(f, "\n  {variable}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads typed values and remembers what was wrong. An empty value counts as not set.
///
/// ```
/// use threatstream_runtime::{Environment, Reader};
/// let mut reader = Reader::new(&[("PORT", "ninety"), ("DEBUG", "perhaps")]);
/// let port: u16 = reader.number("PORT", 8000, 0..=65535);
/// let debug = reader.boolean("DEBUG", false);
/// let errors = reader.finish((port, debug)).unwrap_err();
/// assert_eq!(errors.problems().len(), 2);
/// ```
pub struct Reader<'e> {
    environment: &'e dyn Environment,
    problems: Vec<ConfigProblem>,
}

impl<'e> Reader<'e> {
    /// A reader that has seen no problem yet.
    pub fn new(environment: &'e dyn Environment) -> Self {
        Self {
            environment,
            problems: Vec::new(),
        }
    }

    /// The value when no problem was found.
    ///
    /// # Errors
    /// Every problem found since the reader was made.
    pub fn finish<T>(self, value: T) -> Result<T, ConfigErrors> {
        if self.problems.is_empty() {
            Ok(value)
        } else {
            Err(ConfigErrors(self.problems))
        }
    }

    /// Records a problem of the caller's own finding.
    pub fn problem(&mut self, variable: &str, message: impl Into<String>) {
        self.problems.push(ConfigProblem {
            variable: variable.to_owned(),
            message: message.into(),
        });
    }

    /// Takes over the problems of another reading, and its value if there were none. What several readings found is told once.
    pub fn absorb<T>(&mut self, result: Result<T, ConfigErrors>) -> Option<T> {
        let known = |errors: ConfigErrors| {
            for problem in errors.0 {
                if !self.problems.contains(&problem) {
                    self.problems.push(problem);
                }
            }
        };
        result.map_err(known).ok()
    }

    /// The text without surrounding blanks, or `None` when unset or empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.environment.get(name)?;
        let trimmed = value.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    /// The text, or `default`.
    #[must_use]
    pub fn text_or(&self, name: &str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    /// The text; unset is a problem, and `why` says who needs it.
    pub fn required(&mut self, name: &str, why: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.problem(name, format!("is not set; {why}"));
            String::new()
        })
    }

    /// The text as a secret.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<Secret<String>> {
        self.text(name).map(Secret::new)
    }

    /// Parses by `FromStr`; `allowed` ends the sentence "expected …".
    pub fn parse<T: FromStr>(&mut self, name: &str, allowed: &str) -> Option<T> {
        let text = self.text(name)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.refuse(name, &text, allowed);
        }
        parsed
    }

    /// A number within `range`, or `default`.
    pub fn number<T>(&mut self, name: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let Some(text) = self.text(name) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.refuse(
                    name,
                    &text,
                    &format!("a number from {} to {}", range.start(), range.end()),
                );
                default
            }
        }
    }

    /// `true`, `false`, `1`, `0`, `yes`, `no`, `on` or `off` in any case, or `default`.
    pub fn boolean(&mut self, name: &str, default: bool) -> bool {
        let Some(text) = self.text(name) else { return default };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => {
                self.refuse(name, &text, "true or false");
                default
            }
        }
    }

    /// A length of time: a plain number is seconds, `ms`, `s`, `m`, `h` and `d` are understood.
    pub fn duration(&mut self, name: &str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let Some(text) = self.text(name) else { return default };
        match parse_duration(&text) {
            Some(duration) if range.contains(&duration) => duration,
            _ => {
                let allowed = format!(
                    "a time from {:?} to {:?}, as 60, 60s, 500ms, 5m, 1h or 2d",
                    range.start(),
                    range.end()
                );
                self.refuse(name, &text, &allowed);
                default
            }
        }
    }

    /// One of a closed set of spellings, compared without case.
    pub fn one_of<T: Clone>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = choices
            .iter()
            .find(|(spelling, _)| spelling.eq_ignore_ascii_case(&text));
        if found.is_none() {
            let spellings: Vec<&str> = choices.iter().map(|(spelling, _)| *spelling).collect();
            self.refuse(name, &text, &format!("one of {}", spellings.join(", ")));
        }
        found.map(|(_, value)| value.clone())
    }

    /// A comma separated list without empty items, or `None` when unset.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<Vec<String>> {
        let text = self.text(name)?;
        Some(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    fn refuse(&mut self, name: &str, text: &str, allowed: &str) {
        // Escaped and cut, because a value may hold anything and ends up on a terminal.
        let shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
        self.problem(name, format!("'{shown}' is not allowed; expected {allowed}"));
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit.trim() {
        "ms" => return Some(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_listed_and_defaults_stand_in() {
        let environment = [
            ("PORT", "99999"),
            ("DEBUG", "maybe"),
            ("WINDOW", "5 parsecs"),
            ("FORMAT", "\u{1b}[31mxml"),
            ("EMPTY", "  "),
        ];
        let mut reader = Reader::new(&environment);
        assert_eq!(reader.number("PORT", 8000u16, 1..=65535), 8000);
        assert!(!reader.boolean("DEBUG", false));
        assert_eq!(
            reader
                .duration("WINDOW", Duration::from_secs(60), Duration::ZERO..=Duration::MAX)
                .as_secs(),
            60
        );
        assert_eq!(reader.one_of("FORMAT", &[("text", 1), ("json", 2)]), None);
        assert_eq!(reader.text("EMPTY"), None);
        assert_eq!(reader.required("PROJECT", "the store needs it"), "");
        let text = reader.finish(()).unwrap_err().to_string();
        for part in [
            "5 problems",
            "PORT: '99999'",
            "1 to 65535",
            "DEBUG",
            "true or false",
            "WINDOW",
            "text, json",
            "PROJECT: is not set",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("60", Some(Duration::from_secs(60))),
            ("500ms", Some(Duration::from_millis(500))),
            ("2 m", Some(Duration::from_secs(120))),
            ("1d", Some(Duration::from_secs(86_400))),
            ("99999999999999999999", None),
            ("18446744073709551615d", None),
            ("-1", None),
            ("1y", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }
}
