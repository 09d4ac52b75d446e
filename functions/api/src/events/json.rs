//! JSON bodies: one event, an array of events, or a CloudTrail file. Elements are passed on as the text they are, never as parsed values.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use threatstream_backend::Record;
use threatstream_runtime::Problem;

use super::INLINE_BYTES;
use super::admission::Admission;
use super::body::without_mark;

/// What a CloudTrail file holds its records under.
const RECORDS: &str = "Records";

pub(super) fn read<F: FnMut(Vec<Record>) -> bool>(body: &[u8], admission: &mut Admission<F>) -> Result<(), Problem> {
    let text = text(body)?;
    let elements = Elements { line: 0, admission };
    let result = if text.starts_with('[') {
        validate(text).and_then(|()| to_end(text, |json| json.deserialize_seq(elements)))
    } else if holds_records(text) {
        validate(text).and_then(|()| to_end(text, |json| json.deserialize_map(File(elements))))
    } else {
        if !text.is_empty() {
            elements.admission.json(1, text);
        }
        Ok(())
    };
    result.map_err(|error| Problem::bad_request("the body is not valid JSON").field("body", error.to_string()))
}

/// Reads a body that must be one event.
pub(super) fn read_one<F: FnMut(Vec<Record>) -> bool>(
    body: &[u8],
    admission: &mut Admission<F>,
) -> Result<(), Problem> {
    let text = text(body)?;
    if !text.is_empty() {
        admission.json(1, text);
    }
    Ok(())
}

fn text(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(without_mark(body))
        .map(str::trim_ascii)
        .map_err(|error| {
            Problem::bad_request("the body is not valid JSON")
                .field("body", format!("not UTF-8 at byte {}", error.valid_up_to()))
        })
}

/// Reads a large body to its end before any of it is taken. A small one is taken as a whole, or not at all, without that.
fn validate(text: &str) -> Result<(), serde_json::Error> {
    if text.len() > INLINE_BYTES {
        serde_json::from_str(text).map(|IgnoredAny| ())
    } else {
        Ok(())
    }
}

fn to_end<'a, T>(
    text: &'a str,
    read: impl FnOnce(&mut serde_json::Deserializer<serde_json::de::StrRead<'a>>) -> Result<T, serde_json::Error>,
) -> Result<T, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = read(&mut json)?;
    json.end()?;
    Ok(value)
}

/// Whether the first name in this object is `Records`, and its value an array.
fn holds_records(text: &str) -> bool {
    let after = |text: &'_ str, token: &str| text.trim_ascii_start().strip_prefix(token).map(str::len);
    let mut rest = text;
    for token in ["{", "\"Records\"", ":", "["] {
        match after(rest, token) {
            Some(left) => rest = &rest[rest.len() - left..],
            None => return false,
        }
    }
    true
}

/// The elements of an array, one by one.
struct Elements<'a, F> {
    line: u64,
    admission: &'a mut Admission<F>,
}

impl<'de, F: FnMut(Vec<Record>) -> bool> Visitor<'de> for Elements<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(raw) = list.next_element::<&RawValue>()? {
            self.line += 1;
            self.admission.json(self.line, raw.get());
            if self.admission.stopped() {
                return Err(A::Error::custom("nobody waits for the rest"));
            }
        }
        Ok(())
    }
}

impl<'de, F: FnMut(Vec<Record>) -> bool> DeserializeSeed<'de> for Elements<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

/// The object around the records.
struct File<'a, F>(Elements<'a, F>);

impl<'de, F: FnMut(Vec<Record>) -> bool> Visitor<'de> for File<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file of records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut elements = Some(self.0);
        while let Some(name) = map.next_key::<String>()? {
            match elements.take_if(|_| name == RECORDS) {
                Some(records) => map.next_value_seed(records)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}
