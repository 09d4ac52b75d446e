//! JSON read in one pass over the bytes of a line: text is borrowed unless something in it is escaped.
//!
//! What is accepted is JSON as `serde_json` takes it. What is refused may be JSON still, and is for [`document`] to judge:
//! it tells the sender what is wrong.
//!
//! [`document`]: super::document

use std::borrow::Cow;

use super::document::MAX_DEPTH;
use crate::{Fields, Value};

/// Fields that an event has as a rule, so that its list need not grow.
const USUAL_FIELDS: usize = 32;

/// The object that is the whole of this text; `None` when it is not read here.
pub(super) fn object(raw: &str) -> Option<Fields<'_>> {
    let mut reader = Reader {
        text: raw,
        bytes: raw.as_bytes(),
        at: 0,
    };
    reader.space();
    reader.eat(b'{')?;
    let fields = reader.fields(MAX_DEPTH - 1, USUAL_FIELDS)?;
    reader.space();
    (reader.at == reader.bytes.len()).then_some(fields)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, levels: usize) -> Option<Value<'a>> {
        match self.peek()? {
            b'"' => self.string().map(Value::Str),
            b'-' | b'0'..=b'9' => self.number(),
            b'{' => {
                self.at += 1;
                self.fields(levels.checked_sub(1)?, 4).map(Value::Map)
            }
            b'[' => {
                self.at += 1;
                self.list(levels.checked_sub(1)?)
            }
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => None,
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Option<Value<'a>> {
        self.bytes[self.at..].starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            value
        })
    }

    /// Behind the brace that opens an object.
    fn fields(&mut self, levels: usize, usual: usize) -> Option<Fields<'a>> {
        let mut fields = Fields(Vec::new());
        self.space();
        if self.eat(b'}').is_some() {
            return Some(fields);
        }
        fields.0.reserve(usual);
        loop {
            let name = self.string()?;
            self.space();
            self.eat(b':')?;
            self.space();
            let value = self.value(levels)?;
            fields.0.push((name, value));
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(fields);
                }
                _ => return None,
            }
            self.space();
        }
    }

    /// Behind the bracket that opens a list.
    fn list(&mut self, levels: usize) -> Option<Value<'a>> {
        let mut values = Vec::new();
        self.space();
        if self.eat(b']').is_some() {
            return Some(Value::List(values));
        }
        loop {
            values.push(self.value(levels)?);
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(Value::List(values));
                }
                _ => return None,
            }
            self.space();
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.eat(b'"')?;
        let start = self.at;
        self.at = stop(self.bytes, start);
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.text.get(start..self.at - 1).map(Cow::Borrowed)
            }
            b'\\' => self.unescaped(start).map(Cow::Owned),
            _ => None,
        }
    }

    /// From the first escape on.
    #[inline(never)]
    fn unescaped(&mut self, start: usize) -> Option<String> {
        let mut text = Vec::with_capacity(2 * (self.at - start) + 64);
        text.extend_from_slice(&self.bytes[start..self.at]);
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    // What was plain ends at ASCII on both sides, so that this only looks again.
                    return String::from_utf8(text).ok();
                }
                b'\\' => match self.escape()? {
                    c if c.is_ascii() => text.push(c as u8),
                    c => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                },
                _ => return None,
            }
            self.plain(&mut text);
        }
    }

    /// Copies plain text up to where it [stops](stop), eight bytes at a time and what is too much taken away again: between
    /// escapes there are seldom many.
    #[inline]
    fn plain(&mut self, text: &mut Vec<u8>) {
        while let Some(eight) = self.bytes[self.at..].first_chunk::<8>() {
            let plain = plain_of(*eight);
            text.extend_from_slice(eight);
            self.at += plain;
            if plain < 8 {
                text.truncate(text.len() - (8 - plain));
                return;
            }
        }
        let from = self.at;
        self.at = stop(self.bytes, from);
        text.extend_from_slice(&self.bytes[from..self.at]);
    }

    fn escape(&mut self) -> Option<char> {
        let c = match self.bytes.get(self.at + 1)? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code(),
            _ => return None,
        };
        self.at += 2;
        Some(c)
    }

    /// `\uXXXX`, or two of them for one character beyond the first plane.
    fn code(&mut self) -> Option<char> {
        let first = self.hex(self.at + 2)?;
        self.at += 6;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first);
        }
        if first >= 0xdc00 || self.bytes.get(self.at..self.at + 2)? != br"\u" {
            return None;
        }
        let second = self.hex(self.at + 2)?;
        if !(0xdc00..0xe000).contains(&second) {
            return None;
        }
        self.at += 6;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    fn hex(&self, from: usize) -> Option<u32> {
        self.bytes
            .get(from..from + 4)?
            .iter()
            .try_fold(0, |code, byte| Some(code * 16 + char::from(*byte).to_digit(16)?))
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let digits = self.digits()?;
        if digits > 1 && self.bytes[self.at - digits] == b'0' {
            return None;
        }
        let mut whole = true;
        if self.eat(b'.').is_some() {
            self.digits()?;
            whole = false;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
            whole = false;
        }
        let text = self.text.get(start..self.at)?;
        // Zero with a sign is a float, as is what has more digits than whole numbers keep.
        if whole
            && text != "-0"
            && let Ok(number) = text.parse()
        {
            return Some(Value::Int(number));
        }
        let number: f64 = text.parse().ok()?;
        number.is_finite().then_some(Value::Float(number))
    }

    /// How many there are, if there are any.
    fn digits(&mut self) -> Option<usize> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(self.at - start)
    }
}

/// Where plain text ends: at a quote, a backslash, a control character, or the end.
#[inline]
fn stop(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let plain = plain_of(*eight);
        at += plain;
        if plain < 8 {
            return at;
        }
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..b' ') {
            break;
        }
        at += 1;
    }
    at
}

/// How many of eight bytes are plain text before one that is not.
#[inline]
fn plain_of(eight: [u8; 8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
    const SLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);
    const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
    let word = u64::from_le_bytes(eight);
    // A byte's high bit is set where subtracting one (or 32) borrows: zero (or below a space). Above the first such byte
    // the borrow may set others; only the first is looked at.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let found = (zero(word ^ QUOTES) | zero(word ^ SLASHES) | (word.wrapping_sub(SPACES) & !word)) & HIGH;
    found.trailing_zeros() as usize / 8
}
