//! Making text from log lines harmless to a terminal.

/// True for what moves a cursor, colours, rings, or turns the direction of reading: control characters of both ranges, and the
/// marks for bidirectional and invisible text.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The text with such characters written out as `\u{1b}`.
pub(crate) fn inert(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// JSON in which such characters are escaped the JSON way; they occur in its strings alone.
pub(crate) fn inert_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) && c != '\n' {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Harmless to a terminal, and to a spreadsheet, which takes a cell that begins so for a formula.
pub(crate) fn cell(text: &str) -> String {
    let text = inert(text);
    if text.starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_come_out_as_text() {
        assert_eq!(
            inert("a\u{1b}[31mb\u{9b}2Jc\u{202e}d"),
            "a\\u{1b}[31mb\\u{9b}2Jc\\u{202e}d"
        );
        let json = serde_json::to_string("a\u{1b}\u{9b}\u{202e}é").unwrap();
        let safe = inert_json(&json);
        assert!(safe.chars().all(|c| !is_unsafe(c)));
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), "a\u{1b}\u{9b}\u{202e}é");
    }

    #[test]
    fn a_cell_is_no_formula() {
        assert_eq!(
            cell("=HYPERLINK(\"http://example.com\")"),
            "'=HYPERLINK(\"http://example.com\")"
        );
        assert_eq!(cell("203.0.113.7"), "203.0.113.7");
    }
}
