//! Sigma's strings: text with wildcards, and what they compile to.

use regex::{Regex, RegexBuilder};

use super::encoding;
use super::literals;

/// The most memory a compiled expression may take; one that needs more is refused.
const REGEX_SIZE: usize = 4 << 20;
/// Up to this many dashes every spelling is written out; beyond, an expression stands for all of them.
const DASHES_WRITTEN_OUT: usize = 2;

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    /// `?`: one character.
    One,
    /// `*`: any text.
    Star,
    /// Any of the dashes that Windows takes for one.
    Dash,
}

/// Which part of a value a pattern is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Whole,
    Start,
    End,
    Anywhere,
}

/// One test of a text. What is compared is lower-cased on both sides unless the rule says `cased`.
#[derive(Clone, Debug)]
pub(super) enum TextTest {
    Always,
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    /// The expression, and texts one of which a match cannot do without, if that is known.
    Regex(Regex, Option<Vec<String>>),
}

/// Lower case, character by character, as both sides of a comparison are brought to. (`str::to_lowercase` looks at the
/// neighbours of a final sigma, and would make a part of a text differ from the whole.)
pub(super) fn lower(text: &str) -> std::borrow::Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        text.into()
    } else if text.is_ascii() {
        text.to_ascii_lowercase().into()
    } else {
        text.chars().flat_map(char::to_lowercase).collect::<String>().into()
    }
}

/// Appends the [`lower`] case of a text.
pub(super) fn lower_onto(lowered: &mut String, text: &str) {
    let mut rest = text;
    loop {
        let ascii = ascii_run(rest);
        let from = lowered.len();
        lowered.push_str(&rest[..ascii]);
        lowered[from..].make_ascii_lowercase();
        let mut chars = rest[ascii..].chars();
        let Some(c) = chars.next() else { return };
        lowered.extend(c.to_lowercase());
        rest = chars.as_str();
    }
}

/// How many bytes of ASCII a text begins with.
fn ascii_run(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let bytes = text.as_bytes();
    let whole = bytes.chunks(32).take_while(|chunk| chunk.is_ascii()).count() * 32;
    let rest = bytes[whole..].iter().take_while(|byte| byte.is_ascii()).count();
    whole + rest
}

/// Reads a Sigma string. A backslash takes the meaning from `*`, `?` and another backslash, and is itself elsewhere.
pub(super) fn read(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let part = match c {
            '\\' => {
                plain.push(chars.next_if(|next| matches!(next, '*' | '?' | '\\')).unwrap_or('\\'));
                continue;
            }
            '*' => Part::Star,
            '?' => Part::One,
            _ => {
                plain.push(c);
                continue;
            }
        };
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        if part != Part::Star || parts.last() != Some(&Part::Star) {
            parts.push(part);
        }
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    parts
}

/// The text of a pattern without wildcards.
pub(super) fn plain(parts: &[Part]) -> Option<String> {
    parts
        .iter()
        .map(|part| {
            if let Part::Text(text) = part {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect()
}

/// Every spelling of a pattern whose flags may be written with another dash.
pub(super) fn windash(parts: &[Part]) -> Vec<Vec<Part>> {
    let dashes = |part: &Part| {
        if let Part::Text(text) = part {
            encoding::flag_dashes(text).len()
        } else {
            0
        }
    };
    let write_out = parts.iter().map(dashes).sum::<usize>() <= DASHES_WRITTEN_OUT;
    let mut spellings: Vec<Vec<Part>> = vec![Vec::new()];
    for part in parts {
        let Part::Text(text) = part else {
            spellings.iter_mut().for_each(|spelling| spelling.push(part.clone()));
            continue;
        };
        let mut from = 0;
        for (at, length) in encoding::flag_dashes(text) {
            spellings
                .iter_mut()
                .for_each(|spelling| append(spelling, &text[from..at]));
            if write_out {
                spellings = spellings
                    .iter()
                    .flat_map(|spelling| {
                        encoding::DASHES.iter().map(|dash| {
                            let mut spelling = spelling.clone();
                            append(&mut spelling, dash.encode_utf8(&mut [0; 4]));
                            spelling
                        })
                    })
                    .collect();
            } else {
                spellings.iter_mut().for_each(|spelling| spelling.push(Part::Dash));
            }
            from = at + length;
        }
        spellings
            .iter_mut()
            .for_each(|spelling| append(spelling, &text[from..]));
    }
    spellings
}

fn append(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

/// Compiles a pattern for its place.
///
/// # Errors
/// The expression that stands for it would be too large.
pub(super) fn compile(parts: &[Part], place: Place, cased: bool) -> Result<TextTest, String> {
    let mut all = Vec::with_capacity(parts.len() + 2);
    if matches!(place, Place::End | Place::Anywhere) {
        all.push(Part::Star);
    }
    for part in parts {
        all.push(match part {
            Part::Text(text) if !cased => Part::Text(lower(text).into_owned()),
            other => other.clone(),
        });
    }
    if matches!(place, Place::Start | Place::Anywhere) {
        all.push(Part::Star);
    }
    all.dedup_by(|a, b| *a == Part::Star && *b == Part::Star);
    Ok(match all.as_slice() {
        [] => TextTest::Equals(String::new()),
        [Part::Star] => TextTest::Always,
        [Part::Text(text)] => TextTest::Equals(text.clone()),
        [Part::Text(text), Part::Star] => TextTest::StartsWith(text.clone()),
        [Part::Star, Part::Text(text)] => TextTest::EndsWith(text.clone()),
        [Part::Star, Part::Text(text), Part::Star] => TextTest::Contains(text.clone()),
        parts => {
            let mut source = String::from("(?s)");
            source.push_str(r"\A");
            for part in parts {
                match part {
                    Part::Text(text) => source.push_str(&regex::escape(text)),
                    Part::One => source.push('.'),
                    Part::Star => source.push_str(".*"),
                    Part::Dash => source.extend(["[", r"\-/\u{2013}\u{2014}\u{2015}", "]"]),
                }
            }
            source.push_str(r"\z");
            let texts = parts
                .iter()
                .filter_map(|part| if let Part::Text(text) = part { Some(text) } else { None });
            let needed = texts
                .max_by_key(|text| literals::longest_run(text).len())
                .map(|text| vec![text.clone()]);
            TextTest::Regex(build(&source)?, needed)
        }
    })
}

/// Compiles a regular expression as a rule writes it, with the flags of its modifiers.
///
/// # Errors
/// Why the engine, which matches in linear time, cannot take it.
pub(super) fn regex(source: &str, flags: &str) -> Result<TextTest, String> {
    let source = if flags.is_empty() {
        source.to_owned()
    } else {
        format!("(?{flags}){source}")
    };
    let compiled = build(&source)?;
    Ok(TextTest::Regex(compiled, literals::of_regex(&source)))
}

fn build(source: &str) -> Result<Regex, String> {
    RegexBuilder::new(source)
        .size_limit(REGEX_SIZE)
        .dfa_size_limit(REGEX_SIZE)
        .nest_limit(64)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| source.contains(look)) {
                "the regular expression looks around, which no engine does in linear time".to_owned()
            } else {
                let last = text
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim()
                    .trim_start_matches("error: ")
                    .to_owned();
                format!("the regular expression is refused: {last}")
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backslashes_as_the_specification_says() {
        let text = |text: &str| Part::Text(text.to_owned());
        for (source, expected) in [
            (r"C:\Windows", vec![text(r"C:\Windows")]),
            (r"C:\\Windows", vec![text(r"C:\Windows")]),
            (r"a\*b", vec![text("a*b")]),
            (r"a\\*b", vec![text(r"a\"), Part::Star, text("b")]),
            (r"a\\\*b", vec![text(r"a\*b")]),
            (r"\\\\", vec![text(r"\\")]),
            (r"\\\", vec![text(r"\\")]),
            (r"a\?b?**", vec![text("a?b"), Part::One, Part::Star]),
            ("", vec![]),
        ] {
            assert_eq!(read(source), expected, "{source}");
        }
    }

    #[test]
    fn lower_case_is_the_same_however_it_is_made() {
        for text in [
            "",
            "abc",
            "ABC\u{130}DEF",
            "\u{212a}x",
            "ÉÉ",
            "longer than eight BYTES é and MORE",
            "ΟΔΟΣ",
            "日本",
        ] {
            let mut lowered = String::from("A");
            lower_onto(&mut lowered, text);
            assert_eq!(lowered, format!("A{}", lower(text)), "{text}");
        }
    }

    #[test]
    fn dashes_are_written_out_or_stood_for() {
        assert_eq!(windash(&read(" -a /b")).len(), 25);
        assert_eq!(windash(&read("a-b")), [read("a-b")]);
        let many = windash(&read(" -a -b -c"));
        assert_eq!(many.len(), 1);
        assert_eq!(many[0].iter().filter(|part| **part == Part::Dash).count(), 3);
    }
}
