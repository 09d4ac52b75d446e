//! The condition of a rule: a boolean expression over its search identifiers.

use super::error::RuleError;

const MAX_LENGTH: usize = 16 * 1024;
const MAX_DEPTH: usize = 64;

/// An expression over `T`: indices of search identifiers at first, tests once a rule is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr<T> {
    And(Vec<Expr<T>>),
    Or(Vec<Expr<T>>),
    Not(Box<Expr<T>>),
    Leaf(T),
}

/// Reads a condition over these identifiers; a leaf is an index into them.
///
/// # Errors
/// What does not read, or which name is not there.
pub(super) fn parse(text: &str, identifiers: &[&str]) -> Result<Expr<usize>, RuleError> {
    if text.len() > MAX_LENGTH {
        return Err(RuleError::condition(text, format!("longer than {MAX_LENGTH} bytes")));
    }
    let mut parser = Parser {
        tokens: tokens(text),
        at: 0,
        identifiers,
    };
    let read = parser.or(0).and_then(|expr| match parser.next() {
        None => Ok(expr),
        Some("|") => Err("an aggregation after `|`; write a correlation".to_owned()),
        Some(token) => Err(format!("`{token}` where nothing more was expected")),
    });
    read.map_err(|reason| RuleError::condition(text, reason))
}

fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        let mut rest = word;
        while let Some(at) = rest.find(['(', ')', '|']) {
            if at > 0 {
                tokens.push(&rest[..at]);
            }
            tokens.push(&rest[at..=at]);
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            tokens.push(rest);
        }
    }
    tokens
}

struct Parser<'t> {
    tokens: Vec<&'t str>,
    at: usize,
    identifiers: &'t [&'t str],
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'t str> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Expr<usize>, String> {
        let mut parts = vec![self.and(depth)?];
        while self.eat("or") {
            parts.push(self.and(depth)?);
        }
        Ok(joined(parts, Expr::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Expr<usize>, String> {
        let mut parts = vec![self.not(depth)?];
        while self.eat("and") {
            parts.push(self.not(depth)?);
        }
        Ok(joined(parts, Expr::And))
    }

    fn not(&mut self, depth: usize) -> Result<Expr<usize>, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        if self.eat("not") {
            return Ok(Expr::Not(Box::new(self.not(depth + 1)?)));
        }
        self.primary(depth)
    }

    fn primary(&mut self, depth: usize) -> Result<Expr<usize>, String> {
        match self.next() {
            None => Err("it ends where a search identifier was expected".to_owned()),
            Some("(") => {
                let inner = self.or(depth + 1)?;
                if self.next() == Some(")") {
                    Ok(inner)
                } else {
                    Err("a parenthesis is not closed".to_owned())
                }
            }
            Some(token @ (")" | "|")) => Err(format!("`{token}` where a search identifier was expected")),
            Some(token) if self.peek().is_some_and(|next| next.eq_ignore_ascii_case("of")) => self.quantified(token),
            Some(token) if is_word(token) => Err(format!("`{token}` where a search identifier was expected")),
            Some(token) => match self.identifiers.iter().position(|identifier| *identifier == token) {
                Some(index) => Ok(Expr::Leaf(index)),
                None => Err(format!("there is no search identifier `{token}`")),
            },
        }
    }

    fn quantified(&mut self, quantifier: &str) -> Result<Expr<usize>, String> {
        let all = match quantifier.to_ascii_lowercase().as_str() {
            "all" => true,
            "1" | "any" => false,
            other => return Err(format!("`{other} of`; only `1 of` and `all of` exist")),
        };
        self.at += 1;
        let Some(pattern) = self.next().filter(|pattern| !matches!(*pattern, "(" | ")" | "|")) else {
            return Err("`of` is not followed by a pattern".to_owned());
        };
        let them = pattern.eq_ignore_ascii_case("them");
        let matching: Vec<_> = (0..self.identifiers.len())
            .filter(|index| {
                let identifier = self.identifiers[*index];
                if them {
                    !identifier.starts_with('_')
                } else {
                    glob(pattern, identifier)
                }
            })
            .map(Expr::Leaf)
            .collect();
        if matching.is_empty() {
            return Err(format!("no search identifier matches `{pattern}`"));
        }
        Ok(joined(matching, if all { Expr::And } else { Expr::Or }))
    }
}

fn is_word(token: &str) -> bool {
    ["and", "or", "not", "of"]
        .iter()
        .any(|word| token.eq_ignore_ascii_case(word))
}

fn joined(mut parts: Vec<Expr<usize>>, join: fn(Vec<Expr<usize>>) -> Expr<usize>) -> Expr<usize> {
    if parts.len() == 1 { parts.remove(0) } else { join(parts) }
}

/// `*` stands for any text; identifiers are short, so the simple greedy way does.
fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<_> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["sel_a", "sel_b", "filter", "_hidden", "selection-2"];

    fn read(text: &str) -> String {
        fn show(expr: &Expr<usize>) -> String {
            let list = |parts: &[Expr<usize>]| parts.iter().map(show).collect::<Vec<_>>().join(" ");
            match expr {
                Expr::And(parts) => format!("(and {})", list(parts)),
                Expr::Or(parts) => format!("(or {})", list(parts)),
                Expr::Not(part) => format!("!{}", show(part)),
                Expr::Leaf(index) => index.to_string(),
            }
        }
        match parse(text, &NAMES) {
            Ok(expr) => show(&expr),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn precedence_quantifiers_and_patterns() {
        for (text, expected) in [
            ("sel_a", "0"),
            ("sel_a or sel_b and not filter", "(or 0 (and 1 !2))"),
            ("(sel_a or sel_b) and not filter", "(and (or 0 1) !2)"),
            ("NOT(sel_a)AND sel_b", "(and !0 1)"),
            ("1 of sel_*", "(or 0 1)"),
            ("all of sel*", "(and 0 1 4)"),
            ("1 of them", "(or 0 1 2 4)"),
            ("all of _*", "3"),
            ("any of *_a", "0"),
            ("not 1 of filter*", "!2"),
            ("all of them and not not filter", "(and (and 0 1 2 4) !!2)"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_does_not_read_says_why() {
        for (text, expected) in [
            ("", "ends where"),
            ("sel_a and", "ends where"),
            ("(sel_a", "not closed"),
            ("sel_a)", "nothing more"),
            ("sel_c", "no search identifier `sel_c`"),
            ("1 of x*", "matches `x*`"),
            ("2 of sel*", "only `1 of`"),
            ("sel_a | count() > 5", "aggregation"),
            ("sel_a sel_b", "nothing more"),
            ("and sel_a", "`and` where"),
            ("1 of", "not followed"),
        ] {
            assert!(read(text).contains(expected), "{text}: {}", read(text));
        }
        assert!(read(&"(".repeat(10_000)).contains("deeper"));
        assert!(read(&"not ".repeat(3_000)).contains("deeper"));
        assert!(read(&"a".repeat(20_000)).contains("longer"));
    }
}
