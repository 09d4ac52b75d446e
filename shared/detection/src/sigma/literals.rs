//! Texts that a match cannot do without: what the prefilter looks for.

use regex_syntax::hir::{Class, Hir, HirKind};

/// The longest stretch of ASCII. Only ASCII is searched for, because case folds elsewhere change the bytes.
pub(super) fn longest_run(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii())
        .max_by_key(|run| run.len())
        .unwrap_or_default()
}

/// As [`longest_run`], of what a raw line also shows when a format writes control characters and quotes in its own way.
pub(super) fn longest_raw_run(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii() || c.is_ascii_control() || matches!(c, '"' | '\''))
        .max_by_key(|run| run.len())
        .unwrap_or_default()
}

/// Whether a decoder may have read this text as a number and written it anew.
pub(super) fn looks_numeric(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'))
}

/// Texts, without regard to case, one of which every match of the expression holds; `None` when none is known.
pub(super) fn of_regex(source: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::ParserBuilder::new()
        .nest_limit(64)
        .build()
        .parse(source)
        .ok()?;
    let mut best = Best::default();
    needed(&hir, &mut best, 0);
    best.0
}

const MOST_ALTERNATIVES: usize = 32;

/// The better of what was offered: that whose shortest text is longest.
#[derive(Default)]
struct Best(Option<Vec<String>>);

impl Best {
    fn offer(&mut self, texts: Vec<String>) {
        let weight = |texts: &[String]| texts.iter().map(|text| longest_run(text).len()).min().unwrap_or(0);
        let offered = weight(&texts);
        if offered > 0 && texts.len() <= MOST_ALTERNATIVES && self.0.as_deref().is_none_or(|own| weight(own) < offered)
        {
            self.0 = Some(texts);
        }
    }
}

fn needed(hir: &Hir, best: &mut Best, depth: usize) {
    if depth > 64 {
        return;
    }
    match hir.kind() {
        HirKind::Literal(literal) => {
            if let Ok(text) = std::str::from_utf8(&literal.0) {
                best.offer(vec![text.to_ascii_lowercase()]);
            }
        }
        HirKind::Class(class) => {
            if let Some(c) = one_letter(class) {
                best.offer(vec![c.to_string()]);
            }
        }
        HirKind::Capture(capture) => needed(&capture.sub, best, depth + 1),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed(&repetition.sub, best, depth + 1),
        HirKind::Alternation(branches) => {
            let mut texts = Vec::new();
            for branch in branches {
                let mut inner = Best::default();
                needed(branch, &mut inner, depth + 1);
                match inner.0 {
                    Some(found) => texts.extend(found),
                    None => return,
                }
            }
            best.offer(texts);
        }
        HirKind::Concat(parts) => {
            // Letters of any case come as classes of two; joined with the literals around them they make words.
            let mut word = String::new();
            for part in parts {
                match part.kind() {
                    HirKind::Literal(literal) if literal.0.is_ascii() => {
                        word.extend(literal.0.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
                    }
                    HirKind::Class(class) if one_letter(class).is_some() => word.extend(one_letter(class)),
                    HirKind::Look(_) => {}
                    _ => {
                        best.offer(vec![std::mem::take(&mut word)]);
                        needed(part, best, depth + 1);
                    }
                }
            }
            best.offer(vec![word]);
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => {}
    }
}

/// The letter, if a class holds one letter in both cases, with or without what else folds to it (`K`, `ſ`), for which
/// the prefilter looks on its own.
fn one_letter(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else { return None };
    let mut letter = None;
    for range in class.ranges() {
        if range.start() != range.end() {
            return None;
        }
        let c = match range.start() {
            '\u{212a}' => 'k',
            '\u{17f}' => 's',
            c if c.is_ascii_alphabetic() => c.to_ascii_lowercase(),
            _ => return None,
        };
        if letter.is_some_and(|other| other != c) {
            return None;
        }
        letter = Some(c);
    }
    letter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_an_expression_needs() {
        let of = |source: &str| of_regex(source).map(|texts| texts.join("|"));
        assert_eq!(of(r"cmd.{0,5}(?:/c|/r).+powershell"), Some("powershell".to_owned()));
        assert_eq!(of(r"(?i)\\CMD\.exe"), Some(r"\cmd.exe".to_owned()));
        assert_eq!(of(r"(?i)kiss"), Some("kiss".to_owned()));
        assert_eq!(of(r"(?:foo|barb)"), Some("foo|barb".to_owned()));
        assert_eq!(of(r"x*|abc"), None);
        assert_eq!(of(r"\d+"), None);
        assert_eq!(of(r"(?:abc)?"), None);
        assert_eq!(of(r"(?:abc)+"), Some("abc".to_owned()));
        assert_eq!(of("é"), None);
    }
}
