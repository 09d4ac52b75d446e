//! Modifiers that turn a value into what an attacker may have encoded it to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How UTF-16 is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Utf16 {
    Little,
    Big,
    /// Little-endian behind a byte order mark.
    Marked,
}

pub(super) fn utf16(text: &str, layout: Utf16) -> Vec<u8> {
    let mut bytes = if layout == Utf16::Marked {
        vec![0xff, 0xfe]
    } else {
        Vec::new()
    };
    for unit in text.encode_utf16() {
        bytes.extend(if layout == Utf16::Big {
            unit.to_be_bytes()
        } else {
            unit.to_le_bytes()
        });
    }
    bytes
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The parts of the encoded text that stay the same at each of the three places a value can take in a group of three
/// bytes, whatever stands around it.
pub(super) fn base64_offsets(bytes: &[u8]) -> [String; 3] {
    std::array::from_fn(|offset| {
        let mut shifted = vec![b' '; offset];
        shifted.extend_from_slice(bytes);
        let encoded = STANDARD.encode(&shifted);
        let start = [0, 2, 3][offset];
        let cut = [0, 3, 2][shifted.len() % 3];
        encoded
            .get(start..encoded.len().saturating_sub(cut))
            .unwrap_or_default()
            .to_owned()
    })
}

/// What Windows takes for the dash of a flag.
pub(super) const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// Where a text has dashes that may begin a flag: not after a word, and before one. Byte offsets and the length of each.
pub(super) fn flag_dashes(text: &str) -> Vec<(usize, usize)> {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.char_indices()
        .filter(|(at, c)| {
            DASHES.contains(c)
                && !word(text[..*at].chars().next_back())
                && word(text[at + c.len_utf8()..].chars().next())
        })
        .map(|(at, c)| (at, c.len_utf8()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_at_every_alignment_and_length() {
        for value in ["x", "ab", "foo", "IEX (", "::FromBase64String", "héllo"] {
            let parts = base64_offsets(value.as_bytes());
            for before in 0..7 {
                for after in 0..4 {
                    for filler in [0u8, b'A', 0xff] {
                        let mut whole = vec![filler; before];
                        whole.extend_from_slice(value.as_bytes());
                        whole.extend(vec![filler; after]);
                        let encoded = base64(&whole);
                        assert!(
                            encoded.contains(&parts[before % 3]),
                            "{value} after {before}, before {after}"
                        );
                    }
                }
            }
        }
        assert_eq!(base64_offsets(b"foobar"), ["Zm9vYmFy", "Zvb2Jhc", "mb29iYX"]);
    }

    #[test]
    fn dashes_of_flags() {
        assert_eq!(flag_dashes("-a b-c /d --e"), [(0, 1), (7, 1), (11, 1)]);
        assert_eq!(flag_dashes("\u{2013}x"), [(0, 3)]);
        assert!(flag_dashes("- / a-").is_empty());
    }
}
