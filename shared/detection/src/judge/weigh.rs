//! How many bytes results take where they are stored and told of: as JSON, escapes included.

use std::io;

use serde::Serialize;
use threatstream_domain::{AlertGroup, Original};

/// Of an alert or a threat beside its texts: names of fields, numbers and times, and what an index keeps of it.
const FRAME: usize = 1024;
/// Of an original beside its texts.
const ORIGINAL: usize = 128;

/// A text.
pub(super) fn text(text: &str) -> usize {
    let escaped: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
            0..32 => 6,
            _ => 1,
        })
        .sum();
    // Quotes and a comma.
    escaped + 3
}

/// The analyzer's part of an alert, at least.
pub(super) fn group(group: &AlertGroup) -> usize {
    let lists = [
        &group.threat_ids,
        &group.source_ips,
        &group.affected_systems,
        &group.mitre_attack_ids,
    ];
    let names: usize = lists.into_iter().flatten().map(|name| text(name)).sum();
    FRAME + text(&group.title) + text(&group.description) + names
}

/// Several alerts.
pub(super) fn groups(groups: &[AlertGroup]) -> usize {
    groups.iter().map(group).sum()
}

/// A threat whose JSON has so many bytes: it is stored, and told of in a frame.
pub(super) fn threat(json: usize) -> usize {
    2 * json + FRAME
}

/// Originals.
pub(super) fn originals(originals: &[Original]) -> usize {
    let weight =
        |original: &Original| ORIGINAL + text(&original.event_id) + text(&original.format) + text(&original.raw);
    originals.iter().map(weight).sum()
}

/// Anything else, by writing it to nowhere.
pub(super) fn json(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Plain data into a counter: neither can fail.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_weighs_its_json_and_a_comma(written in ".{0,40}", controls in prop::collection::vec(0u8..40, 0..20)) {
            let written = controls.into_iter().map(char::from).chain(written.chars()).collect::<String>();
            prop_assert_eq!(text(&written), serde_json::to_string(&written).unwrap().len() + 1);
            prop_assert_eq!(json(&written) + 1, text(&written));
        }
    }
}
