//! Bodies of lines: `\n` or `\r\n` ends one, blank lines are skipped and numbered.

use threatstream_backend::Record;

use super::admission::Admission;
use super::body::without_mark;

/// Lines with their numbers, from 1, without what ends them.
struct Lines<'a> {
    rest: Option<&'a [u8]>,
    number: u64,
}

impl<'a> Lines<'a> {
    fn of(body: &'a [u8]) -> Self {
        Self {
            rest: Some(without_mark(body)),
            number: 0,
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        let line = match memchr::memchr(b'\n', rest) {
            Some(end) => {
                self.rest = Some(&rest[end + 1..]);
                &rest[..end]
            }
            None => {
                self.rest = None;
                rest
            }
        };
        self.number += 1;
        Some((self.number, line.strip_suffix(b"\r").unwrap_or(line)))
    }
}

/// JSON documents, one a line.
pub(super) fn read_ndjson<F: FnMut(Vec<Record>) -> bool>(body: &[u8], admission: &mut Admission<F>) {
    for (number, line) in Lines::of(body) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match std::str::from_utf8(line) {
            Ok(text) => admission.json(number, text),
            Err(error) => admission.unreadable(
                number,
                &format!("not UTF-8 at byte {} of the line", error.valid_up_to()),
            ),
        }
        if admission.stopped() {
            return;
        }
    }
}

/// Raw log lines. Bytes that are no UTF-8 are replaced: a log line from an old system is better read with a gap than not at all.
pub(super) fn read_text<F: FnMut(Vec<Record>) -> bool>(body: &[u8], admission: &mut Admission<F>) {
    for (number, line) in Lines::of(body) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        admission.text(number, &String::from_utf8_lossy(line));
        if admission.stopped() {
            return;
        }
    }
}
