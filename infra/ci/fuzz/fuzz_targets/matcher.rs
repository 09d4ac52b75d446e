//! Any bytes as a record of the log, all the way to a verdict: opened, decoded, matched by the built-in rules, explained, judged,
//! saved and restored.
#![no_main]

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use threatstream_detection::decode::{Format, decode};
use threatstream_detection::enrich::Networks;
use threatstream_detection::judge::JudgeState;
use threatstream_detection::sigma::{Holds as _, RuleMatch, RuleSet};
use threatstream_detection::{Detector, Incoming, ORIGINAL_BYTES, pack};
use threatstream_domain::{Envelope, MarkKey, Timestamp};

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| {
    let files = pack::builtin().map(|(name, yaml)| (Cow::Borrowed(name), Cow::Borrowed(yaml)));
    let rules = RuleSet::load(files);
    assert!(rules.set_aside().is_empty(), "{:?}", rules.set_aside());
    Detector::new(Arc::new(rules), Networks::default(), MarkKey::new("key"))
});

// The first byte says how the rest is to be read: by which decoder, and whether in an envelope or as it is.
fuzz_target!(|data: &[u8]| {
    let Some((how, rest)) = data.split_first() else { return };
    let format = Format::ALL[usize::from(how & 0x7f) % Format::ALL.len()];
    let raw = String::from_utf8_lossy(rest);
    let received_at = Timestamp::from_secs(1_795_338_000);
    no_match_is_lost(&raw, format, received_at);
    let envelope = Envelope {
        event_id: Cow::Borrowed("e"),
        format: Cow::Borrowed(format.as_str()),
        received_at,
        sender: Cow::Borrowed(""),
        raw: Cow::Borrowed(&raw),
    };
    let wrapped = envelope.to_bytes();
    assert_eq!(Envelope::from_bytes(&wrapped).as_ref(), Some(&envelope));
    let value = if how & 0x80 == 0 { wrapped.as_slice() } else { rest };
    verdict(value, received_at);
});

fn no_match_is_lost(raw: &str, format: Format, received_at: Timestamp) {
    let rules = DETECTOR.rules();
    let event = decode(raw, format, received_at);
    let found = rules.matches(&event);
    let ids = |found: &[RuleMatch<'_>]| found.iter().map(|found| found.rule.id.clone()).collect::<Vec<_>>();
    assert_eq!(
        ids(&found),
        ids(&rules.matches_unfiltered(&event)),
        "the prefilter over values loses a match"
    );
    assert!(
        found.is_empty() || rules.might_match(raw.as_bytes()),
        "the prefilter over bytes loses {:?}",
        ids(&found)
    );
    for rule in rules.rules() {
        let explanation = rules.explain(rule, &event);
        let is_found = found.iter().any(|found| found.rule.id == rule.id);
        assert_eq!(explanation.matched, is_found, "explained otherwise than matched");
        assert_eq!(explanation.failures().is_empty(), explanation.condition.holds());
    }
    for near in rules.nearest(&event, 4) {
        assert!(!near.explanation.matched, "what is near does not match");
    }
}

fn verdict(value: &[u8], logged_at: Timestamp) {
    let incoming = Incoming {
        value,
        mark: None,
        logged_at,
        origin: ("raw", 0, 7),
    };
    let Ok(opened) = DETECTOR.open(incoming) else { return };
    let matches = DETECTOR.examine(&opened);
    for found in &matches {
        assert!(
            found.event.timestamp <= found.event.received_at,
            "a match lies in the future"
        );
        assert!(found.event.raw.len() <= ORIGINAL_BYTES, "an original is kept whole");
        let stored = serde_json::to_vec(found).expect("a match is written as JSON");
        assert!(serde_json::from_slice(&stored).is_ok_and(|read: threatstream_detection::Match| &read == found));
    }
    let mut state = JudgeState::default();
    let (taken, judged) = state.judge(&matches, &HashMap::new(), logged_at, usize::MAX);
    assert_eq!(taken, matches.len());
    let tally = &judged.tally;
    let accounted = tally.stored + tally.counted + tally.suppressed + tally.duplicate;
    assert_eq!(accounted, matches.len() as u64, "a match is not accounted for");
    let delta = state.take_delta();
    if !delta.is_empty() {
        let slots: [(u16, &[u8]); 0] = [];
        let restored = JudgeState::load(&slots, &[delta]).expect("what was written is read");
        assert_eq!(restored.size(), state.size(), "a restored state forgets");
    }
}
