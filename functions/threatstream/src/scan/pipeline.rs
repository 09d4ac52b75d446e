//! The two stages over what was read: matched in parallel, judged in the order of the files.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Instant;

use threatstream_detection::decode::{self, Format};
use threatstream_detection::judge::{JudgeState, Judged};
use threatstream_detection::{Detector, Match, Opened};
use threatstream_domain::{Envelope, Threat, Timestamp, derived_id, fingerprint};

use super::lines::Event;
use super::{Finding, Origin};

/// Events that are matched together.
const BATCH: usize = 8192;

/// The detector, and what it remembers of the files so far.
pub(crate) struct Pipeline {
    detector: Detector,
    format: Format,
    now: Timestamp,
    state: JudgeState,
    /// How often a matched event was met before, by fingerprint and rule: files repeat lines, and each counts.
    met: HashMap<u128, u64>,
    waiting: Vec<(Origin, String, Instant)>,
    /// The last event that a rule matched: what ends with the input ends with it.
    last: Option<(Origin, Instant)>,
    read: u64,
    rejected: u64,
}

/// A native event with an address, port or time that does not parse.
fn is_refused(raw: &str) -> bool {
    let raw = raw.trim_start();
    raw.starts_with('{')
        && serde_json::from_str::<serde::de::IgnoredAny>(raw).is_ok()
        && decode::check_native(raw).is_err()
}

impl Pipeline {
    /// `now` is when the lines are taken to have arrived.
    pub(crate) fn new(detector: Detector, format: Format, now: Timestamp) -> Self {
        Self {
            detector,
            format,
            now,
            state: JudgeState::default(),
            met: HashMap::new(),
            waiting: Vec::with_capacity(BATCH),
            last: None,
            read: 0,
            rejected: 0,
        }
    }

    /// Events so far.
    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    /// Lines that were no events.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Takes an event: what is found once enough are together.
    pub(crate) fn push(&mut self, event: Event) -> Vec<Finding> {
        match event.raw {
            // What ingest would refuse is no event here either; a line that only looks like JSON is text.
            Some(raw) if matches!(self.format, Format::Auto | Format::Native) && is_refused(&raw) => self.rejected += 1,
            Some(raw) => {
                self.read += 1;
                self.waiting.push((event.origin, raw, Instant::now()));
            }
            None => self.rejected += 1,
        }
        if self.waiting.len() < BATCH {
            Vec::new()
        } else {
            self.finish()
        }
    }

    /// What is found in the events that still wait.
    fn finish(&mut self) -> Vec<Finding> {
        let waiting = std::mem::replace(&mut self.waiting, Vec::with_capacity(BATCH));
        let mut findings = Vec::new();
        for ((origin, _, read_at), matches) in waiting.iter().zip(self.examine(&waiting)) {
            for mut found in matches {
                self.tell_apart(&mut found);
                // One by one, so that a threat is known by the event that completed it.
                let (_, judged) = self.state.judge(&[found], &HashMap::new(), self.now, usize::MAX);
                findings.extend(self.with_chains(judged, origin, *read_at));
                self.last = Some((origin.clone(), *read_at));
            }
        }
        // Nothing is saved, so what was remembered for saving is let go.
        let _ = self.state.take_delta();
        findings
    }

    /// What is found once nothing more is to come: also the windows that only what lies beyond them would have decided.
    pub(crate) fn end(&mut self) -> Vec<Finding> {
        let mut findings = self.finish();
        let Some((origin, read_at)) = self.last.clone() else {
            return findings;
        };
        loop {
            let judged = self.state.end(&HashMap::new(), self.now);
            let is_chained = !judged.chained.is_empty();
            findings.extend(self.with_chains(judged, &origin, read_at));
            if !is_chained {
                return findings;
            }
        }
    }

    /// The threats of what was judged, and of the correlations that count them, and so on. `origin` is the event that completed
    /// them, and `read_at` when it was read.
    fn with_chains(&mut self, judged: Judged, origin: &Origin, read_at: Instant) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut finding = |mut threat: Threat, suppressed| {
            threat.processing_time_ms = read_at.elapsed().as_secs_f64() * 1000.0;
            findings.push(Finding {
                threat,
                origin: origin.clone(),
                suppressed,
            });
        };
        let mut next = vec![judged];
        while let Some(judged) = next.pop() {
            judged
                .threats
                .into_iter()
                .for_each(|(threat, _)| finding(threat, false));
            judged
                .suppressed
                .into_iter()
                .for_each(|(threat, _)| finding(threat, true));
            if !judged.chained.is_empty() {
                let (_, judged) = self.state.judge(&judged.chained, &HashMap::new(), self.now, usize::MAX);
                next.push(judged);
            }
        }
        findings
    }

    fn examine(&self, events: &[(Origin, String, Instant)]) -> Vec<Vec<Match>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let chunk = events.len().div_ceil(cores).max(1);
        std::thread::scope(|scope| {
            let parts: Vec<_> = events
                .chunks(chunk)
                .map(|part| {
                    scope.spawn(|| {
                        part.iter()
                            .map(|(origin, raw, _)| self.examine_one(origin, raw))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            parts
                .into_iter()
                .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn examine_one(&self, origin: &Origin, raw: &str) -> Vec<Match> {
        let event_id = decode::vendor_id(raw).unwrap_or_else(|| Cow::Owned(format!("{}:{}", origin.file, origin.line)));
        let fingerprint = u128::from_le_bytes(fingerprint(&event_id, raw));
        let envelope = Envelope {
            event_id,
            format: Cow::Borrowed(self.format.as_str()),
            received_at: self.now,
            sender: Cow::Borrowed("scan"),
            raw: Cow::Borrowed(raw),
        };
        self.detector.examine(&Opened {
            envelope,
            format: self.format,
            fingerprint,
            simulation_id: None,
        })
    }

    /// Gives a match that came before a fingerprint of its own.
    fn tell_apart(&mut self, found: &mut Match) {
        let met = self.met.entry(found.duplicate_key()).or_default();
        if *met > 0 {
            found.fingerprint = derived_id("again", &[&found.fingerprint, &met.to_string()]);
        }
        *met += 1;
    }
}
