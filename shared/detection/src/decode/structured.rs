//! The structured data of RFC 5424: `[id name="value" …][id …]`.

use std::borrow::Cow;

use crate::{Fields, Value};

/// Reads structured data at the start of the text; `-` is none. Answers it by id, and what follows it.
pub(super) fn read(text: &str) -> Option<(Fields<'_>, &str)> {
    let mut elements = Fields::default();
    if let Some(rest) = text.strip_prefix('-') {
        return Some((elements, rest));
    }
    let mut rest = text;
    while let Some(element) = rest.strip_prefix('[') {
        let (id, mut parameters) = element.split_at(element.find([' ', ']'])?);
        let mut fields = Fields::default();
        while let Some(parameter) = parameters.strip_prefix(' ') {
            let (name, value) = parameter.split_once("=\"")?;
            let (value, after) = value_and_rest(value)?;
            fields.push(name, Value::Str(value));
            parameters = after;
        }
        elements.push(id, Value::Map(fields));
        rest = parameters.strip_prefix(']')?;
    }
    (!elements.0.is_empty()).then_some((elements, rest))
}

/// Up to the closing quote, with `\"`, `\\` and `\]` undone, and what follows the quote.
fn value_and_rest(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut at = 0;
    let mut escaped = false;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.as_bytes().get(at..)?)?;
        if text.as_bytes()[at] == b'"' {
            break;
        }
        escaped = true;
        at += 2;
    }
    let (value, rest) = (&text[..at], &text[at + 1..]);
    let value = if escaped {
        Cow::Owned(value.replace("\\\"", "\"").replace("\\]", "]").replace("\\\\", "\\"))
    } else {
        Cow::Borrowed(value)
    };
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_by_id() {
        let (fields, rest) = read(r#"[a@1 iut="3" q="x\"y\]"][b@2] text"#).unwrap();
        assert_eq!(
            fields
                .get("a@1")
                .and_then(|a| if let Value::Map(a) = a { a.get("q") } else { None }),
            Some(&Value::str("x\"y]"))
        );
        assert!(fields.get("b@2").is_some());
        assert_eq!(rest, " text");
    }

    #[test]
    fn what_is_broken_is_none() {
        for text in ["", "text", "[a", "[a b]", "[a b=\"c]", "[a b=\"c\\", "[a b=\"c\\é"] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
