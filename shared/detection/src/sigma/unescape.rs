//! The texts that a line's escapes may stand for.

/// Escapes within escapes that are followed: JSON in a string of JSON in a string.
const MOST_ROUNDS: usize = 3;

/// What scanning a line and all that its escapes stand for came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// `found` said yes to one of the texts.
    Found,
    /// It said no to all of them.
    Nothing,
    /// There are more layers of escapes than are followed.
    Unclear,
}

/// Shows `found` the bytes as they are, and then as they are with their escapes resolved, layer by layer. Both are
/// needed: `\n` may be a line break, or a backslash in a Windows path of a format without escapes.
pub(super) fn scan(raw: &[u8], mut found: impl FnMut(&[u8]) -> bool) -> Seen {
    if found(raw) {
        return Seen::Found;
    }
    let Some(first) = memchr::memchr(b'\\', raw) else {
        return Seen::Nothing;
    };
    let mut text = unescape(raw, first);
    for _ in 1..MOST_ROUNDS {
        if found(&text) {
            return Seen::Found;
        }
        match hides(&text) {
            None => return Seen::Nothing,
            Some(first) => text = unescape(&text, first),
        }
    }
    if found(&text) {
        Seen::Found
    } else if hides(&text).is_some() {
        Seen::Unclear
    } else {
        Seen::Nothing
    }
}

/// The first escape that may stand for a character a literal can have.
fn hides(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\\', text).find(|at| match text.get(at + 1) {
        Some(b'u') => hex(text, at + 2, 4).is_some(),
        Some(b'x') => hex(text, at + 2, 2).is_some(),
        Some(byte) => byte.is_ascii_punctuation(),
        None => false,
    })
}

fn unescape(raw: &[u8], first: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    out.extend_from_slice(&raw[..first]);
    let mut at = first;
    while at < raw.len() {
        let rest = &raw[at..];
        let Some(next) = rest.get(1).filter(|_| rest[0] == b'\\') else {
            let run = memchr::memchr(b'\\', &rest[1..]).map_or(rest.len(), |found| found + 1);
            out.extend_from_slice(&rest[..run]);
            at += run;
            continue;
        };
        let code = match next {
            b'u' => hex(raw, at + 2, 4).map(|code| (code, 6)),
            b'x' => hex(raw, at + 2, 2).map(|code| (code, 4)),
            _ => None,
        };
        match (code, next) {
            (Some((code, length)), _) => {
                // Half of a pair is no ASCII and no letter that folds to it; any placeholder does.
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += length;
            }
            (None, b'n' | b't' | b'r' | b'b' | b'f') => {
                out.push(b'\n');
                at += 2;
            }
            (None, byte) if byte.is_ascii_punctuation() => {
                out.push(*byte);
                at += 2;
            }
            (None, _) => {
                out.push(b'\\');
                at += 1;
            }
        }
    }
    out
}

fn hex(text: &[u8], from: usize, length: usize) -> Option<u32> {
    let digits = text.get(from..from + length)?;
    digits
        .iter()
        .try_fold(0, |code, byte| Some(code * 16 + char::from(*byte).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sees(raw: &str, text: &str) -> Seen {
        scan(raw.as_bytes(), |bytes| {
            memchr::memmem::find(bytes, text.as_bytes()).is_some()
        })
    }

    #[test]
    fn escapes_hide_nothing() {
        for raw in [
            r"C:\Windows\new",
            r"C:\\Windows\\new",
            r"C:\u005cWindows\\new",
            r"{\\\\C:\\\\Windows\\\\new}",
        ] {
            assert_eq!(sees(raw, r"C:\Windows\new"), Seen::Found, "{raw}");
        }
        assert_eq!(sees(r#"{"a":"x\/y \"z\""}"#, r#"x/y "z""#), Seen::Found);
        assert_eq!(sees(r"p\x6fwer", "power"), Seen::Found);
        assert_eq!(sees(r"\u00e9\ud83d\ude00x", "\u{e9}"), Seen::Found);
        assert_eq!(sees(r"a\", "b"), Seen::Nothing);
        assert_eq!(sees(&r"\".repeat(1000), "b"), Seen::Unclear);
    }
}
