//! Percent-encoding undone, for paths and queries in which attackers hide what they ask for.

use std::borrow::Cow;

/// Undoes percent-encoding once. What is no encoding, or would not be UTF-8, stays as it is written (bad UTF-8 is
/// replaced). Borrows when there is nothing to undo.
pub(super) fn once(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (
            bytes[at],
            bytes.get(at + 1).copied().and_then(nibble),
            bytes.get(at + 2).copied().and_then(nibble),
        ) {
            (b'%', Some(high), Some(low)) => {
                plain.push(high << 4 | low);
                at += 3;
            }
            (byte, ..) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8(plain).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// As an application sees it at last: percent-encoding undone up to three times, `+` as a space, and the `\x22` that
/// web servers write for a byte they will not print.
pub(super) fn fully(text: &str) -> Cow<'_, str> {
    let mut plain = escapes(text);
    for _ in 0..3 {
        match once(&plain) {
            Cow::Borrowed(_) => break,
            Cow::Owned(next) => plain = Cow::Owned(next),
        }
    }
    if plain.contains('+') {
        Cow::Owned(plain.replace('+', " "))
    } else {
        plain
    }
}

fn escapes(text: &str) -> Cow<'_, str> {
    if !text.contains("\\x") {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        plain.push_str(&rest[..at]);
        let byte = rest
            .get(at + 2..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii() => {
                plain.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            _ => {
                plain.push_str("\\x");
                rest = &rest[at + 2..];
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_undone_and_nothing_else_is_touched() {
        assert!(matches!(once("/plain"), Cow::Borrowed("/plain")));
        assert_eq!(once("/a%20b%2"), "/a b%2");
        assert_eq!(once("100%é%zz"), "100%é%zz");
        assert_eq!(once("%ff"), "\u{fffd}");
        assert_eq!(fully("%2527+or+1=1"), "' or 1=1");
        assert_eq!(fully(r"\x22\x16\xff\x"), "\"\u{16}\\xff\\x");
    }
}
