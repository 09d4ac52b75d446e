//! The `.env` format: `KEY=VALUE` lines, comments, quotes.
//!
//! ```text
//! # a comment
//! export KEY=value            # `export` and a comment after a space are dropped
//! RAW='as it is, $ and \ too'
//! ESCAPED="line\nline"        # \n \r \t \" \\ \$
//! LINES="first
//! second"
//! ```
//! Nothing is expanded: a `$` is a `$`.

use std::iter::Peekable;
use std::str::Chars;

/// A line that is no assignment. The value itself is not repeated, for it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct DotenvError {
    /// Counted from 1; for a quoted value, the line it begins on.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The assignments of a `.env` file in their order; a later one of the same name is meant to win.
///
/// # Errors
/// The first line that is neither empty, a comment nor an assignment.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, DotenvError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut cursor = Cursor {
        chars: text.chars().peekable(),
        line: 1,
    };
    let mut assignments = Vec::new();
    while let Some(assignment) = cursor.assignment()? {
        assignments.push(assignment);
    }
    Ok(assignments)
}

struct Cursor<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.chars.next();
        if c == Some('\n') {
            self.line += 1;
        }
        c
    }

    fn skip_blanks(&mut self) {
        while self.chars.next_if(|c| matches!(c, ' ' | '\t' | '\r')).is_some() {}
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    fn error(&self, reason: &'static str) -> DotenvError {
        DotenvError {
            line: self.line,
            reason,
        }
    }

    fn assignment(&mut self) -> Result<Option<(String, String)>, DotenvError> {
        loop {
            self.skip_blanks();
            match self.chars.peek() {
                None => return Ok(None),
                Some('\n') => drop(self.next()),
                Some('#') => self.skip_line(),
                Some(_) => break,
            }
        }
        let mut name = self.name();
        self.skip_blanks();
        if name == "export" && self.chars.peek() != Some(&'=') {
            name = self.name();
            self.skip_blanks();
        }
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.error("expected a name of letters, digits and underscores"));
        }
        if self.chars.next_if_eq(&'=').is_none() {
            return Err(self.error("expected NAME=VALUE"));
        }
        self.skip_blanks();
        let value = match self.chars.peek() {
            Some('\'') => self.quoted('\'')?,
            Some('"') => self.quoted('"')?,
            _ => return Ok(Some((name, self.bare()))),
        };
        self.skip_blanks();
        match self.chars.peek() {
            None | Some('\n') => {}
            Some('#') => self.skip_line(),
            Some(_) => return Err(self.error("unexpected text after the closing quote")),
        }
        Ok(Some((name, value)))
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        name
    }

    /// To the end of the line, without a comment that follows a blank.
    fn bare(&mut self) -> String {
        let mut value = String::new();
        while let Some(c) = self.chars.next_if(|c| *c != '\n') {
            if c == '#'
                && value
                    .chars()
                    .next_back()
                    .is_none_or(|before| before == ' ' || before == '\t')
            {
                while self.chars.next_if(|c| *c != '\n').is_some() {}
                break;
            }
            value.push(c);
        }
        value.truncate(value.trim_end_matches([' ', '\t', '\r']).len());
        value
    }

    fn quoted(&mut self, quote: char) -> Result<String, DotenvError> {
        let open = DotenvError {
            line: self.line,
            reason: "the quote is never closed",
        };
        self.next();
        let mut value = String::new();
        loop {
            match self.next().ok_or_else(|| open.clone())? {
                c if c == quote => return Ok(value),
                '\\' if quote == '"' => match self.next().ok_or_else(|| open.clone())? {
                    'n' => value.push('\n'),
                    'r' => value.push('\r'),
                    't' => value.push('\t'),
                    c @ ('"' | '\\' | '$') => value.push(c),
                    other => value.extend(['\\', other]),
                },
                c => value.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> (String, String) {
        let mut assignments = parse(text).unwrap();
        assert_eq!(assignments.len(), 1, "{text:?}");
        assignments.remove(0)
    }

    #[test]
    fn forms() {
        for (text, name, value) in [
            ("A=b", "A", "b"),
            ("\u{feff}A=b", "A", "b"),
            ("  export A = b c  \r\n", "A", "b c"),
            ("export=x", "export", "x"),
            ("A=", "A", ""),
            ("A= # nothing", "A", ""),
            ("A=b#c", "A", "b#c"),
            ("A=b #c", "A", "b"),
            ("A='b #c' # d", "A", "b #c"),
            (r"A='\n$X'", "A", r"\n$X"),
            (r#"A="\n\"\\\$\q""#, "A", "\n\"\\$\\q"),
            ("A=\"1\n2\"\n", "A", "1\n2"),
            ("A=https://x/?a=b&c=d", "A", "https://x/?a=b&c=d"),
        ] {
            assert_eq!(one(text), (name.to_owned(), value.to_owned()), "{text:?}");
        }
        assert_eq!(parse("\n# x\n \t\r\n").unwrap(), []);
    }

    #[test]
    fn errors_name_the_line_and_not_the_value() {
        for (text, line) in [
            ("A=1\n\nhunter2\n", 3),
            ("A='hunter2", 1),
            ("\nA=\"x\ny", 2),
            ("A='x' hunter2", 1),
            ("=x", 1),
            ("1A=x", 1),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in any::<String>()) {
            let lines = text.lines().count().max(1) + 1;
            if let Err(error) = parse(&text) {
                prop_assert!(error.line <= lines);
            }
        }

        #[test]
        fn what_is_quoted_comes_back(pairs in prop::collection::vec(("[A-Za-z_][A-Za-z0-9_]{0,8}", any::<String>()), 0..6)) {
            let mut text = String::new();
            for (name, value) in &pairs {
                let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
                text.push_str(&format!("{name}=\"{escaped}\" # comment\n"));
            }
            prop_assert_eq!(parse(&text).unwrap(), pairs);
        }
    }
}
