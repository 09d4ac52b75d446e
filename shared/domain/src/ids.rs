//! Ids that the same input always gives again, so that work done twice has its effect once.

use sha2::{Digest, Sha256};

/// An id made of what the thing is made of: `THR-` and 20 hexadecimal digits of a SHA-256 over the parts.
///
/// Each part goes in with its length, so that `["ab", "c"]` and `["a", "bc"]` differ.
#[must_use]
pub fn derived_id(prefix: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    format!("{prefix}-{}", hex(&hash.finalize()[..10]))
}

/// What an event is known by: 128 bits over its id and its content.
///
/// Both count, because a sender may forge an id: an event is a duplicate only if id and content were seen before.
#[must_use]
pub fn fingerprint(event_id: &str, raw: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update((event_id.len() as u64).to_le_bytes());
    hash.update(event_id.as_bytes());
    hash.update(raw.as_bytes());
    let mut print = [0; 16];
    print.copy_from_slice(&hash.finalize()[..16]);
    print
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// Cuts a text to at most `limit` bytes, on a character's boundary.
#[must_use]
pub fn truncated(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_their_parts_and_their_borders() {
        assert_eq!(derived_id("THR", &["a", "b"]), derived_id("THR", &["a", "b"]));
        assert_ne!(derived_id("THR", &["ab", "c"]), derived_id("THR", &["a", "bc"]));
        assert_eq!(derived_id("THR", &["a"]).len(), 24);
    }

    #[test]
    fn a_forged_id_is_another_event() {
        assert_ne!(fingerprint("id", "one"), fingerprint("id", "two"));
        assert_ne!(fingerprint("id1", "one"), fingerprint("id", "1one"));
    }

    #[test]
    fn cuts_fall_between_characters() {
        assert_eq!(truncated("grün", 3), "gr");
        assert_eq!(truncated("grün", 4), "grü");
        assert_eq!(truncated("abc", 9), "abc");
    }
}
