//! The first stage: from a record of the log to the rules that match it.

mod windows;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use threatstream_domain::{
    Envelope, MAX_EVENT_BYTES, MAX_EVENT_ID_BYTES, MarkKey, Timestamp, fingerprint, hex, truncated,
};

use crate::decode::{self, Format};
use crate::enrich::{self, Networks};
use crate::event::Event;
use crate::found::{Match, ORIGINAL_BYTES, Observed, Verdict, Window};
use crate::sigma::{Correlation, CorrelationKind, Rule, RuleMatch, RuleSet};
use windows::{entity_of, window};

/// Values that group or name something are cut to this many bytes.
const NAME_BYTES: usize = 256;
/// An entity that no field names.
const NOBODY: &str = "unknown";

/// A record as it comes out of the log.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Its value: an envelope, or a bare event of a producer that knows none.
    pub value: &'a [u8],
    /// Its simulation mark, if the header is there.
    pub mark: Option<&'a [u8]>,
    /// When the log took it.
    pub logged_at: Timestamp,
    /// Its topic, partition and offset: what a bare event without an id is known by.
    pub origin: (&'a str, u32, u64),
}

/// A record taken for an event.
#[derive(Clone, Debug)]
pub struct Opened<'a> {
    /// The event.
    pub envelope: Envelope<'a>,
    /// How to read it.
    pub format: Format,
    /// What duplicates are known by.
    pub fingerprint: u128,
    /// The simulation it belongs to; its mark was verified.
    pub simulation_id: Option<&'a str>,
}

/// Why a record is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeadLetter {
    /// There is nothing in it.
    #[error("the record is empty")]
    Empty,
    /// More than an event may be.
    #[error("the event has {0} bytes; at most {MAX_EVENT_BYTES} are taken")]
    TooLong(usize),
    /// An id that is no id.
    #[error("event_id: more than {MAX_EVENT_ID_BYTES} bytes")]
    IdTooLong,
    /// A decoder that does not exist.
    #[error("format: {0}")]
    Format(#[from] threatstream_domain::UnknownName),
    /// The detector itself failed on it; the event is kept for whoever mends that.
    #[error("the detector failed on the event")]
    Defect,
    /// Somebody without the key wrote the mark.
    #[error("the simulation mark was not made with this deployment's key")]
    ForgedMark,
}

/// The rules, and what else an event is seen with.
#[derive(Clone, Debug)]
pub struct Detector {
    rules: Arc<RuleSet>,
    networks: Networks,
    mark_key: MarkKey,
}

impl Detector {
    /// A detector of these rules.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, networks: Networks, mark_key: MarkKey) -> Self {
        Self {
            rules,
            networks,
            mark_key,
        }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Takes a record for an event.
    ///
    /// # Errors
    /// [`DeadLetter`] says why it is none.
    pub fn open<'a>(&self, incoming: Incoming<'a>) -> Result<Opened<'a>, DeadLetter> {
        let envelope = Envelope::from_bytes(incoming.value).unwrap_or_else(|| bare(incoming));
        if envelope.raw.trim().is_empty() {
            return Err(DeadLetter::Empty);
        }
        if envelope.raw.len() > MAX_EVENT_BYTES {
            return Err(DeadLetter::TooLong(envelope.raw.len()));
        }
        if envelope.event_id.len() > MAX_EVENT_ID_BYTES {
            return Err(DeadLetter::IdTooLong);
        }
        let format = envelope.format.parse()?;
        let simulation_id = match incoming.mark {
            None => None,
            Some(mark) => {
                let mark = std::str::from_utf8(mark).map_err(|_| DeadLetter::ForgedMark)?;
                Some(
                    self.mark_key
                        .verify(mark, &envelope.raw)
                        .map_err(|_| DeadLetter::ForgedMark)?,
                )
            }
        };
        let fingerprint = u128::from_le_bytes(fingerprint(&envelope.event_id, &envelope.raw));
        Ok(Opened {
            envelope,
            format,
            fingerprint,
            simulation_id,
        })
    }

    /// What the rules find in an event; empty: it is clean.
    #[must_use]
    pub fn examine(&self, opened: &Opened<'_>) -> Vec<Match> {
        let raw = opened.envelope.raw.as_ref();
        if !self.rules.might_match(raw.as_bytes()) {
            return Vec::new();
        }
        let event = decode::decode(raw, opened.format, opened.envelope.received_at);
        let hits = self.rules.matches(&event);
        if hits.is_empty() {
            return Vec::new();
        }
        let observed = self.observe(opened, &event);
        let fingerprint = hex(&opened.fingerprint.to_le_bytes());
        let mut found = Vec::new();
        let mut counted: Vec<&str> = Vec::new();
        for hit in &hits {
            if hit.rule.alerts_alone {
                let entity = entity(&observed);
                found.push(self.found(opened, &observed, &fingerprint, hit, of_rule(hit.rule), None, entity));
            }
            for correlation in self.rules.correlations_of(hit.rule) {
                // For a count, an event is one event however many of the rules it matches.
                let is_count = !matches!(correlation.kind, CorrelationKind::Temporal { .. });
                if is_count && counted.contains(&correlation.id.as_str()) {
                    continue;
                }
                // An event without the fields that group it, or without the value that is measured, belongs to no window.
                if let Some(window) = window(&self.rules, correlation, &hit.rule.id, &event) {
                    counted.push(&correlation.id);
                    let entity = entity_of(&window);
                    let verdict = of_correlation(correlation);
                    found.push(self.found(opened, &observed, &fingerprint, hit, verdict, Some(window), entity));
                }
            }
        }
        found
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one record, put together in one place"
    )]
    fn found(
        &self,
        opened: &Opened<'_>,
        observed: &Observed,
        fingerprint: &str,
        hit: &RuleMatch<'_>,
        verdict: Verdict,
        window: Option<Window>,
        entity: String,
    ) -> Match {
        Match {
            fingerprint: fingerprint.to_owned(),
            event: observed.clone(),
            rule_id: hit.rule.id.clone(),
            verdict,
            evidence: hit
                .evidence
                .iter()
                .map(|evidence| (evidence.field.clone(), evidence.value.clone()))
                .collect(),
            window,
            entity,
            simulation_id: opened.simulation_id.map(str::to_owned),
            rules_hash: self.rules.hash().to_owned(),
        }
    }

    fn observe(&self, opened: &Opened<'_>, event: &Event<'_>) -> Observed {
        let envelope = &opened.envelope;
        let text = |field: &str| {
            event
                .ecs_text(field)
                .map(|text| truncated(&text, NAME_BYTES).to_owned())
        };
        let address = |field: &str| text(field).and_then(|text| canonical(&text));
        let source_ip = address("source.ip");
        let source_zone = source_ip
            .as_deref()
            .and_then(|ip| ip.parse().ok())
            .map(|ip| enrich::zone(ip, &self.networks));
        let raw = truncated(&envelope.raw, ORIGINAL_BYTES);
        // An event cannot have happened after it arrived: a sender's clock that runs ahead opens no window in the future.
        let at = event
            .time
            .map_or(envelope.received_at, |time| time.min(envelope.received_at));
        Observed {
            event_id: envelope.event_id.clone().into_owned(),
            timestamp: Timestamp::from_millis(at.as_millis()),
            received_at: envelope.received_at,
            format: event.format.to_owned(),
            source_ip,
            source_zone,
            destination_ip: address("destination.ip"),
            destination_port: text("destination.port").and_then(|port| port.parse().ok()),
            user: text("user.name").or_else(|| text("user.target.name")),
            host: text("host.hostname").or_else(|| text("host.name")),
            raw: raw.to_owned(),
            truncated: raw.len() < envelope.raw.len(),
        }
    }
}

/// An address in its one spelling, IPv4 where it is mapped into IPv6; `None`: it is no address.
fn canonical(text: &str) -> Option<String> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical().to_string())
}

/// A record whose value is no envelope: the event itself.
fn bare<'a>(incoming: Incoming<'a>) -> Envelope<'a> {
    let raw = String::from_utf8_lossy(incoming.value);
    let id = decode::vendor_id(&raw).map(Cow::into_owned);
    let (topic, partition, offset) = incoming.origin;
    Envelope {
        event_id: Cow::Owned(id.unwrap_or_else(|| format!("{topic}-{partition}-{offset}"))),
        format: Cow::Borrowed("auto"),
        received_at: Timestamp::from_millis(incoming.logged_at.as_millis()),
        sender: Cow::Borrowed(""),
        raw,
    }
}

fn entity(observed: &Observed) -> String {
    let named = observed
        .source_ip
        .as_ref()
        .or(observed.user.as_ref())
        .or(observed.host.as_ref());
    named.map_or_else(|| NOBODY.to_owned(), Clone::clone)
}

fn of_rule(rule: &Rule) -> Verdict {
    Verdict {
        id: rule.id.clone(),
        title: rule.title.clone(),
        level: rule.level,
        threat_type: rule.threat_type,
        techniques: rule.techniques.clone(),
        recommended_actions: rule.recommended_actions.clone(),
        confidence: confidence(rule.status.as_deref()),
    }
}

fn of_correlation(correlation: &Correlation) -> Verdict {
    Verdict {
        id: correlation.id.clone(),
        title: correlation.title.clone(),
        level: correlation.level,
        threat_type: correlation.threat_type,
        techniques: correlation.techniques.clone(),
        recommended_actions: correlation.recommended_actions.clone(),
        confidence: confidence(correlation.status.as_deref()),
    }
}

/// How much a rule is trusted, from how far its authors have tested it.
fn confidence(status: Option<&str>) -> f64 {
    match status {
        Some("stable") => 0.9,
        Some("test") => 0.8,
        Some("deprecated" | "unsupported") => 0.5,
        _ => 0.7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack;

    fn detector() -> Detector {
        let files = pack::builtin().map(|(name, yaml)| (Cow::Borrowed(name), Cow::Borrowed(yaml)));
        Detector::new(Arc::new(RuleSet::load(files)), Networks::default(), MarkKey::new("key"))
    }

    fn incoming<'a>(value: &'a [u8], mark: Option<&'a [u8]>) -> Incoming<'a> {
        Incoming {
            value,
            mark,
            logged_at: "2026-11-22T09:00:00Z".parse().unwrap(),
            origin: ("raw", 1, 7),
        }
    }

    const FAILED: &[u8] = b"Nov 22 08:59:58 web-1 sshd[411]: Failed password for root from 203.0.113.7 port 50538 ssh2";

    #[test]
    fn a_bare_line_is_an_event() {
        let detector = detector();
        let opened = detector.open(incoming(FAILED, None)).unwrap();
        assert_eq!(opened.envelope.event_id, "raw-1-7");
        let found = detector.examine(&opened);
        let window = found
            .iter()
            .find(|found| found.window.is_some())
            .expect("failed logins are counted");
        assert_eq!(window.event.source_ip.as_deref(), Some("203.0.113.7"));
        assert_eq!(window.event.timestamp.to_string(), "2026-11-22T08:59:58.000Z");
        assert_eq!(window.entity, "203.0.113.7");
    }

    #[test]
    fn an_address_is_one_group_however_it_is_written() {
        let detector = detector();
        let mapped = String::from_utf8_lossy(FAILED).replace("203.0.113.7", "::ffff:203.0.113.7");
        let found = detector.examine(&detector.open(incoming(mapped.as_bytes(), None)).unwrap());
        let plain = detector.examine(&detector.open(incoming(FAILED, None)).unwrap());
        assert!(!found.is_empty());
        assert_eq!(found[0].event.source_ip.as_deref(), Some("203.0.113.7"));
        let keys = |found: &[Match]| found.iter().map(Match::key).collect::<Vec<_>>();
        assert_eq!(keys(&found), keys(&plain));
    }

    #[test]
    fn a_forged_mark_is_a_dead_letter_and_a_true_one_a_label() {
        let detector = detector();
        let forged = detector.open(incoming(FAILED, Some(b"SIM-1/1:00"))).unwrap_err();
        assert_eq!(forged, DeadLetter::ForgedMark);
        let mark = MarkKey::new("key").mark("SIM-1", 1, std::str::from_utf8(FAILED).unwrap());
        let opened = detector.open(incoming(FAILED, Some(mark.as_bytes()))).unwrap();
        assert!(
            detector
                .examine(&opened)
                .iter()
                .all(|found| found.simulation_id.as_deref() == Some("SIM-1"))
        );
    }

    #[test]
    fn what_is_no_event_says_why() {
        let detector = detector();
        assert_eq!(detector.open(incoming(b" \n", None)).unwrap_err(), DeadLetter::Empty);
        let long = vec![b'x'; MAX_EVENT_BYTES + 1];
        assert_eq!(
            detector.open(incoming(&long, None)).unwrap_err(),
            DeadLetter::TooLong(long.len())
        );
        let unknown =
            br#"{"event_id":"e","format":"cobol","received_at":"2026-11-22T09:00:00Z","sender":"","raw":"x"}"#;
        assert!(
            detector
                .open(incoming(unknown, None))
                .unwrap_err()
                .to_string()
                .contains("allowed: auto")
        );
    }

    #[test]
    fn the_future_is_clamped_to_the_arrival() {
        let detector = detector();
        let line = br#"{"event_type":"brute_force","timestamp":"2031-01-01T00:00:00Z","source_ip":"203.0.113.7","payload":{"attempts":50}}"#;
        let opened = detector.open(incoming(line, None)).unwrap();
        let found = detector.examine(&opened);
        assert_eq!(found[0].event.timestamp.to_string(), "2026-11-22T09:00:00.000Z");
    }
}
