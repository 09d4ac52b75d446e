//! Any bytes as what judge saved: it is restored or refused, and goes on working.
//!
//! The input is a list of saved values: a byte (the slot; 255 is a delta), the length in two bytes, the value.
#![no_main]

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use threatstream_detection::enrich::Networks;
use threatstream_detection::judge::JudgeState;
use threatstream_detection::sigma::RuleSet;
use threatstream_detection::{Detector, Incoming, Match, Recent, pack};
use threatstream_domain::{MarkKey, Timestamp};

const DELTA: u8 = 255;
const NOW: i64 = 1_795_338_000;

/// Matches that stand alone, and some that a window counts.
static MATCHES: LazyLock<Vec<Match>> = LazyLock::new(|| {
    let files = pack::builtin().map(|(name, yaml)| (Cow::Borrowed(name), Cow::Borrowed(yaml)));
    let rules = Arc::new(RuleSet::load(files));
    let detector = Detector::new(rules, Networks::default(), MarkKey::new("key"));
    let native = r#"{"event_type":"brute_force","source_ip":"203.0.113.7","payload":{"attempts":50}}"#;
    let failed =
        |port: u64| format!("Nov 22 08:59:58 web sshd[4]: Failed password for root from 203.0.113.7 port {port} ssh2");
    let lines = (0..3).map(failed).chain([native.to_owned()]);
    let found: Vec<Match> = (0..)
        .zip(lines)
        .flat_map(|(offset, line)| {
            let incoming = Incoming {
                value: line.as_bytes(),
                mark: None,
                logged_at: Timestamp::from_secs(NOW),
                origin: ("raw", 0, offset),
            };
            let opened = detector.open(incoming).expect("a line is an event");
            detector.examine(&opened)
        })
        .collect();
    assert!(found.iter().any(|found| found.window.is_some()) && found.iter().any(|found| found.window.is_none()));
    found
});

fuzz_target!(
    init: write_seeds(),
    |data: &[u8]| {
        let (mut slots, mut deltas) = (Vec::new(), Vec::new());
        for (slot, value) in values(data) {
            if slot == DELTA {
                deltas.push(value);
            } else {
                slots.push((u16::from(slot), value));
            }
        }
        let mut recent = Recent::load(slots.iter().map(|(_, value)| *value));
        recent.insert(7);
        assert!(recent.contains(7));
        let _ = recent.save(0);
        let Ok(mut state) = JudgeState::load(&slots, &deltas) else { return };
        let (taken, _) = state.judge(&MATCHES, &HashMap::new(), Timestamp::from_secs(NOW), usize::MAX);
        assert_eq!(taken, MATCHES.len());
        let (delta, snapshot) = (state.take_delta(), state.snapshot());
        let none: [&[u8]; 0] = [];
        let restored = JudgeState::load(&snapshot, &none).expect("a snapshot is read");
        assert_eq!(restored.size(), state.size(), "a restored state forgets");
        if !delta.is_empty() {
            deltas.push(&delta);
        }
        let again = JudgeState::load(&slots, &deltas).expect("a delta is read");
        assert_eq!(again.size(), state.size(), "deltas do not lead to the same state");
    }
);

fn values(mut data: &[u8]) -> Vec<(u8, &[u8])> {
    let mut values = Vec::new();
    while let [slot, low, high, rest @ ..] = data {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (value, after) = rest.split_at(length);
        values.push((*slot, value));
        data = after;
    }
    values
}

/// A snapshot and a delta as this version writes them, to begin from, in the folder that `FUZZ_SEEDS` names.
fn write_seeds() {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from) else {
        return;
    };
    let mut state = JudgeState::default();
    let now = Timestamp::from_secs(NOW);
    let mut seeds = Vec::new();
    for (number, found) in MATCHES.chunks(2).enumerate() {
        let _ = state.judge(found, &HashMap::new(), now, usize::MAX);
        let delta = state.take_delta();
        seeds.push((format!("delta-{number}"), packed(&[(DELTA, delta)])));
    }
    let snapshot: Vec<(u8, Vec<u8>)> = state
        .snapshot()
        .into_iter()
        .map(|(slot, value)| (u8::try_from(slot).expect("a low slot"), value))
        .collect();
    seeds.push(("snapshot".to_owned(), packed(&snapshot)));
    for (name, bytes) in seeds {
        std::fs::write(folder.join(name), bytes).expect("the folder of seeds can be written to");
    }
}

fn packed(values: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (slot, value) in values {
        bytes.push(*slot);
        bytes.extend(u16::try_from(value.len()).expect("a short value").to_le_bytes());
        bytes.extend(value);
    }
    bytes
}
