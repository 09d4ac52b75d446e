//! Whether any rule can match, told from the texts that each of them cannot match without.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::condition::Expr;
use super::detection::{Detection, LINE, Test};
use super::literals::{longest_raw_run, longest_run, looks_numeric};
use super::unescape::{self, Seen};

/// Letters outside ASCII that lower-casing or a regular expression's case folding takes for `k`, `i` and `s`.
const FOLDED: [&str; 3] = ["\u{212a}", "\u{130}", "\u{17f}"];
/// What tells that a line writes characters in a way that is not undone here: entities of XML, hexadecimal of auditd.
const ENCODED: [&str; 7] = ["&lt;", "&gt;", "&amp;", "&quot;", "&apos;", "&#", "msg=audit("];
/// Automata over more text than this take the smaller form.
const MOST_IN_DFA: usize = 32 * 1024;
/// A rule that needs one of more texts than this is tried on every event.
const MOST_TEXTS: usize = 4_096;

/// Whether decoders copy this field from the line as it is. The normalised fields of ECS may be derived: an outcome, an
/// action, an address in its canonical form need not stand in the line. Nor may those that integrations put beside them,
/// under the product's name. All other fields are the product's own.
#[must_use]
pub fn copied_verbatim(field: &str) -> bool {
    const DERIVED: [&str; 53] = [
        "@timestamp",
        "agent",
        "apache",
        "as",
        "aws",
        "azure",
        "client",
        "cloud",
        "code_signature",
        "container",
        "data_stream",
        "destination",
        "device",
        "dll",
        "dns",
        "ecs",
        "elf",
        "email",
        "error",
        "event",
        "faas",
        "file",
        "gcp",
        "geo",
        "group",
        "hash",
        "host",
        "http",
        "interface",
        "labels",
        "log",
        "message",
        "network",
        "nginx",
        "observer",
        "orchestrator",
        "organization",
        "os",
        "package",
        "process",
        "registry",
        "related",
        "rule",
        "server",
        "service",
        "source",
        "system",
        "tags",
        "threat",
        "tls",
        "url",
        "user",
        "user_agent",
    ];
    DERIVED
        .binary_search(&field.split('.').next().unwrap_or_default())
        .is_err()
}

/// Where texts are looked for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum In {
    /// The bytes of the line, whatever a decoder makes of them.
    Raw,
    /// The values of a decoded event.
    Values,
}

/// A text and the field that must hold it.
pub(super) type Needed = (u32, String);

/// Texts, one of which an event must hold for the rule to match; `None` when none is known.
pub(super) fn needs(detection: &Detection, tests: &[Test], fields: &[String], place: In) -> Option<Vec<Needed>> {
    let of_test = |test: &u32| {
        let test = &tests[*test as usize];
        if place == In::Raw && test.field != LINE && !copied_verbatim(&fields[test.field as usize]) {
            return None;
        }
        test.needs
            .as_deref()?
            .iter()
            .map(|text| Some((test.field, reduced(text, place)?)))
            .collect()
    };
    of_expr(&detection.condition, &|search| {
        of_expr(&detection.searches[*search].1, &of_test)
    })
}

fn reduced(text: &str, place: In) -> Option<String> {
    let run = match place {
        In::Raw => longest_raw_run(text),
        In::Values => longest_run(text),
    };
    (!run.is_empty()).then(|| run.to_ascii_lowercase())
}

fn of_expr<T>(expr: &Expr<T>, leaf: &dyn Fn(&T) -> Option<Vec<Needed>>) -> Option<Vec<Needed>> {
    match expr {
        Expr::Leaf(own) => leaf(own),
        Expr::Not(_) => None,
        // All parts must hold, so the texts of any one of them will do: those that are rarest.
        Expr::And(parts) => parts.iter().filter_map(|part| of_expr(part, leaf)).max_by_key(|texts| {
            let shortest = texts.iter().map(|(_, text)| distinctive(text)).min().unwrap_or(0);
            // The line is the longest of all values, and searched only where nothing else will do.
            let in_fields = texts.iter().all(|(field, _)| *field != LINE);
            (in_fields, shortest.min(12), std::cmp::Reverse(texts.len()))
        }),
        Expr::Or(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(of_expr(part, leaf)?);
                if all.len() > MOST_TEXTS {
                    return None;
                }
            }
            Some(all)
        }
    }
}

/// How long a text is without what most events of its kind hold: it decides which of several texts a rule waits for, and
/// nothing else.
fn distinctive(text: &str) -> usize {
    const EVERYWHERE: [&str; 16] = [
        r"c:\",
        r"\windows\",
        r"system32\",
        r"\kernelbase.dll",
        r"\ntdll.dll",
        r"\svchost.exe",
        r"\program files",
        r"\microsoft",
        r"\currentversion",
        r"hklm\",
        r"software\",
        ".exe",
        ".dll",
        ".amazonaws.com",
        "http://",
        "https://",
    ];
    let common: usize = EVERYWHERE
        .iter()
        .map(|common| text.matches(common).count() * common.len())
        .sum();
    // Texts overlap: what is left is at least one.
    text.len().saturating_sub(common).max(usize::from(!text.is_empty()))
}

/// Looks at bytes that are not decoded yet.
pub(super) struct RawPrefilter {
    /// `None`: every line must be looked at.
    finder: Option<AhoCorasick>,
    /// Some text is a number, which the line may write in another way.
    numeric: bool,
    empty: bool,
}

impl RawPrefilter {
    pub(super) fn new(detections: &[Detection], tests: &[Test], fields: &[String]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        let mut always = false;
        for detection in detections {
            match needs(detection, tests, fields, In::Raw) {
                Some(own) => texts.extend(own.into_iter().map(|(_, text)| text)),
                None => always = true,
            }
        }
        texts.sort_unstable();
        texts.dedup();
        let numeric = texts.iter().any(|text| looks_numeric(text));
        texts.extend(FOLDED.iter().chain(&ENCODED).map(|text| (*text).to_owned()));
        let finder = if always {
            None
        } else {
            // Every line is scanned: a table of all steps is worth its memory while it is small.
            let small = texts.iter().map(String::len).sum::<usize>() <= MOST_IN_DFA;
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .kind(small.then_some(AhoCorasickKind::DFA))
                .build(&texts)
                .ok()
        };
        Self {
            finder,
            numeric,
            empty: detections.is_empty(),
        }
    }

    /// The detections for which every line must be looked at.
    pub(super) fn unfiltered(detections: &[Detection], tests: &[Test], fields: &[String]) -> Vec<usize> {
        let open = |detection: &Detection| needs(detection, tests, fields, In::Raw).is_none();
        (0..detections.len())
            .filter(|index| open(&detections[*index]))
            .collect()
    }

    /// False: no rule matches, whatever a decoder makes of these bytes.
    pub(super) fn might_match(&self, raw: &[u8]) -> bool {
        if self.empty {
            return false;
        }
        let Some(finder) = &self.finder else { return true };
        unescape::scan(raw, |text| finder.is_match(text)) != Seen::Nothing || (self.numeric && rewritten_number(raw))
    }
}

/// Whether the bytes hold a number that a decoder would not write as it stands there: one with an exponent, or with more
/// digits than numbers keep.
fn rewritten_number(raw: &[u8]) -> bool {
    let mut at = 0;
    while at < raw.len() {
        if !raw[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < raw.len() && (raw[at].is_ascii_digit() || raw[at] == b'.') {
            at += 1;
        }
        let fraction = raw[start..at].contains(&b'.');
        let exponent = matches!(raw.get(at), Some(b'e' | b'E'))
            && matches!(raw.get(at + 1), Some(byte) if byte.is_ascii_digit() || matches!(byte, b'+' | b'-'))
            && !(start > 0 && raw[start - 1].is_ascii_alphabetic());
        let digits = &raw[start..at];
        let too_long = if fraction {
            digits.len() > 15
        } else {
            digits.len() > 18 && std::str::from_utf8(digits).is_ok_and(|text| text.parse::<i64>().is_err())
        };
        if exponent || too_long {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised_fields_are_not_copied() {
        for field in [
            "event.outcome",
            "source.ip",
            "message",
            "url.target",
            "system.auth.ssh.event",
            "user_agent.original",
            "@timestamp",
            "agent.id",
            "aws.x",
        ] {
            assert!(!copied_verbatim(field), "{field}");
        }
        for field in [
            "CommandLine",
            "eventName",
            "protoPayload.methodName",
            "cs-uri",
            "payload.attempts",
            "systems",
        ] {
            assert!(copied_verbatim(field), "{field}");
        }
    }

    #[test]
    fn numbers_that_a_decoder_writes_anew() {
        for raw in ["4.6e3", "x:1E5,", "12345678901234567890", "0.12345678901234567"] {
            assert!(rewritten_number(raw.as_bytes()), "{raw}");
        }
        for raw in [
            "4624",
            "1.5",
            "10.0.0.1",
            "2026-11-22T09:00:00.000Z",
            "1700000000000000000",
            "ae1f",
        ] {
            assert!(!rewritten_number(raw.as_bytes()), "{raw}");
        }
    }
}
