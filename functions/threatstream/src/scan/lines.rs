//! Events out of bytes: a line each, or a JSON value each.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use threatstream_domain::MAX_EVENT_BYTES;

use super::Origin;

/// What was read.
pub(crate) struct Event {
    pub(crate) origin: Origin,
    /// `None`: longer than an event may be.
    pub(crate) raw: Option<String>,
}

/// Where events go.
pub(crate) type Sink<'a> = dyn FnMut(Event) -> anyhow::Result<()> + 'a;

/// Every line that is not blank. A line that is too long is read past, not into memory.
pub(crate) fn read_lines(file: &Arc<str>, mut input: impl BufRead, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = input
            .by_ref()
            .take(MAX_EVENT_BYTES as u64 + 2)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        let origin = Origin {
            file: file.clone(),
            line: number,
        };
        if !line.ends_with(b"\n") && line.len() > MAX_EVENT_BYTES {
            skip_line(&mut input)?;
            sink(Event { origin, raw: None })?;
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if !text.trim().is_empty() {
            sink(Event {
                origin,
                raw: Some(text.to_owned()),
            })?;
        }
    }
    Ok(())
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        match memchr_newline(buffer) {
            Some(at) => {
                input.consume(at + 1);
                return Ok(());
            }
            None => {
                let length = buffer.len();
                input.consume(length);
            }
        }
    }
}

fn memchr_newline(buffer: &[u8]) -> Option<usize> {
    buffer.iter().position(|byte| *byte == b'\n')
}

/// A `.json` file: an array of events, or values one after another; CloudTrail's `{"Records": […]}` is its records.
pub(crate) fn read_json(file: &Arc<str>, mut input: impl BufRead, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let mut number = 0;
    let mut value = |raw: &RawValue, sink: &mut Sink<'_>| -> anyhow::Result<()> {
        for event in records(raw) {
            number += 1;
            let text = event.get();
            let raw = (text.len() <= MAX_EVENT_BYTES).then(|| text.to_owned());
            sink(Event {
                origin: Origin {
                    file: file.clone(),
                    line: number,
                },
                raw,
            })?;
        }
        Ok(())
    };
    while input.fill_buf()?.first().is_some_and(u8::is_ascii_whitespace) {
        input.consume(1);
    }
    if input.fill_buf()?.first() != Some(&b'[') {
        for raw in serde_json::Deserializer::from_reader(input).into_iter::<Box<RawValue>>() {
            value(&raw?, sink)?;
        }
        return Ok(());
    }
    let mut failed = None;
    let seed = Elements(|raw: &RawValue| match value(raw, sink) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(error);
            false
        }
    });
    let read = serde_json::Deserializer::from_reader(input).deserialize_seq(seed);
    match failed {
        Some(error) => Err(error),
        None => Ok(read?),
    }
}

/// The records of a CloudTrail file, or the value itself.
fn records(raw: &RawValue) -> Vec<Box<RawValue>> {
    #[derive(serde::Deserialize)]
    struct Wrapper {
        #[serde(rename = "Records")]
        records: Vec<Box<RawValue>>,
    }
    match serde_json::from_str::<Wrapper>(raw.get()) {
        Ok(wrapper) => wrapper.records,
        Err(_) => vec![raw.to_owned()],
    }
}

/// Visits an array's elements one by one, so that a large file need not fit in memory; false ends the visit.
struct Elements<F>(F);

impl<'de, F: FnMut(&RawValue) -> bool> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(raw) = elements.next_element_seed(Element)? {
            if !(self.0)(&raw) {
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

struct Element;

impl<'de> DeserializeSeed<'de> for Element {
    type Value = Box<RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        serde::Deserialize::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<(u64, Option<String>)> {
        let mut events = Vec::new();
        read_lines(&"f".into(), input, &mut |event| {
            events.push((event.origin.line, event.raw));
            Ok(())
        })
        .unwrap();
        events
    }

    fn values(input: &str) -> anyhow::Result<Vec<(u64, String)>> {
        let mut events = Vec::new();
        read_json(&"f".into(), input.as_bytes(), &mut |event| {
            events.push((event.origin.line, event.raw.unwrap_or_default()));
            Ok(())
        })?;
        Ok(events)
    }

    #[test]
    fn lines_keep_their_numbers() {
        let got = lines(b"one\r\n\n \nfour\xff\nfive");
        assert_eq!(
            got,
            [
                (1, Some("one".into())),
                (4, Some("four\u{fffd}".into())),
                (5, Some("five".into()))
            ]
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let mut input = vec![b'x'; MAX_EVENT_BYTES * 3];
        input.extend(b"\nnext\n");
        assert_eq!(lines(&input), [(1, None), (2, Some("next".into()))]);
        let exact = vec![b'x'; MAX_EVENT_BYTES];
        assert!(lines(&exact)[0].1.is_some());
    }

    #[test]
    fn json_comes_in_arrays_in_a_row_and_in_records() {
        let expected = vec![(1, "{\"a\":1}".to_owned()), (2, "{\"a\":2}".to_owned())];
        for input in [
            "[{\"a\":1},\n {\"a\":2}]",
            " {\"a\":1}\n{\"a\":2}",
            "{\"Records\":[{\"a\":1},{\"a\":2}]}",
        ] {
            assert_eq!(values(input).unwrap(), expected, "{input}");
        }
        assert!(values("[{\"a\":1}, {\"a\"").is_err());
    }
}
