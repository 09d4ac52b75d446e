//! What the detector makes of the scenarios' lines, from the line to the threat.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use threatstream_detection::decode::{Format, decode};
use threatstream_detection::enrich::Networks;
use threatstream_detection::judge::JudgeState;
use threatstream_detection::sigma::RuleSet;
use threatstream_detection::{Detector, Incoming, pack};
use threatstream_domain::{Envelope, Intensity, MarkKey, Threat, ThreatType, Timestamp};
use threatstream_simulator::{Generator, generate, scenario};

fn detector() -> Detector {
    let files = pack::builtin().map(|(name, yaml)| (Cow::Borrowed(name), Cow::Borrowed(yaml)));
    Detector::new(Arc::new(RuleSet::load(files)), Networks::default(), MarkKey::new("key"))
}

fn start() -> Timestamp {
    "2026-11-22T23:58:30Z".parse().unwrap()
}

/// Every threat of a run, and the text of the matches that led nowhere.
fn threats(
    detector: &Detector,
    name: &str,
    intensity: Intensity,
    seed: u64,
    eps: u32,
    seconds: u32,
) -> (Vec<Threat>, usize) {
    let lines = Generator::new(scenario(name).unwrap(), intensity, seed, start(), eps).take((eps * seconds) as usize);
    let mut found = Vec::new();
    for (number, raw) in (0u32..).zip(lines) {
        let received_at = start().plus(Duration::from_secs(1) * number / eps);
        let envelope = Envelope {
            event_id: format!("e{number}").into(),
            format: "auto".into(),
            received_at,
            sender: "simulator".into(),
            raw: raw.into(),
        };
        let value = envelope.to_bytes();
        let incoming = Incoming {
            value: &value,
            mark: None,
            logged_at: received_at,
            origin: ("raw", 0, number.into()),
        };
        let opened = detector.open(incoming).unwrap();
        found.extend(detector.examine(&opened));
    }
    let mut state = JudgeState::default();
    let mut threats = Vec::new();
    let mut rest = &found[..];
    while !rest.is_empty() {
        let (taken, judged) = state.judge(rest, &HashMap::new(), start(), 1000);
        threats.extend(
            judged
                .threats
                .into_iter()
                .chain(judged.suppressed)
                .map(|(threat, _)| threat),
        );
        rest = &rest[taken..];
    }
    (threats, found.len())
}

#[test]
fn ordinary_traffic_matches_no_rule() {
    let detector = detector();
    for (seed, eps, seconds) in [(1, 500, 120), (2, 50, 300), (3, 5, 300), (4, 500, 60), (5, 200, 60)] {
        let (threats, matches) = threats(&detector, "HEALTHY_FLOW", Intensity::High, seed, eps, seconds);
        assert!(threats.is_empty(), "seed {seed}: {:#?}", threats[0]);
        assert_eq!(matches, 0, "seed {seed}");
    }
}

#[test]
fn a_brute_force_is_found_and_the_attackers_alone_are_named() {
    let detector = detector();
    for intensity in Intensity::ALL {
        for (seed, eps, seconds) in [(1, 20, 60), (2, 100, 30), (3, 500, 20), (4, 5, 120), (5, 20, 20)] {
            let (threats, _) = threats(&detector, "BRUTE_FORCE", *intensity, seed, eps, seconds);
            let brute: Vec<&Threat> = threats
                .iter()
                .filter(|t| t.threat_type == ThreatType::BruteForce)
                .collect();
            assert!(
                !brute.is_empty(),
                "{intensity} seed {seed}: {} other threats",
                threats.len()
            );
            assert!(brute.iter().any(|threat| {
                threat
                    .mitre_attack_id
                    .as_deref()
                    .is_some_and(|id| id.starts_with("T1110"))
            }));
            for threat in &threats {
                let address = threat.source_ip.as_deref().unwrap_or_default();
                assert!(
                    address.starts_with("203.0.113."),
                    "{intensity} seed {seed}: {threat:#?}"
                );
            }
            if eps * seconds >= 1200 {
                let lines = Generator::new(scenario("BRUTE_FORCE").unwrap(), *intensity, seed, start(), eps);
                let failures = attackers(lines.take((eps * seconds) as usize));
                let named: BTreeSet<&str> = brute.iter().filter_map(|threat| threat.source_ip.as_deref()).collect();
                assert_eq!(
                    failures.iter().map(String::as_str).collect::<BTreeSet<_>>(),
                    named,
                    "{intensity} seed {seed}"
                );
            }
        }
    }
}

/// The addresses that failed passwords came from.
fn attackers(lines: impl Iterator<Item = String>) -> BTreeSet<String> {
    lines
        .filter_map(|line| {
            let (_, rest) = line.split_once("Failed password for ")?;
            let (_, address) = rest.split_once(" from ")?;
            Some(address.split(' ').next()?.to_owned())
        })
        .collect()
}

#[test]
fn a_decoder_knows_every_line_and_reads_its_time() {
    for name in ["HEALTHY_FLOW", "BRUTE_FORCE"] {
        for seed in 0..20 {
            for (number, line) in (0u32..).zip(generate(scenario(name).unwrap(), seed, start(), 10, 60)) {
                let at = start().plus(Duration::from_secs(1) * number / 10);
                let event = decode(&line, Format::Auto, at);
                assert!(matches!(event.format, "syslog" | "nginx"), "{}: {line}", event.format);
                assert_eq!(event.time.map(Timestamp::as_secs), Some(at.as_secs()), "{line}");
            }
        }
    }
}

#[test]
fn names_rise_and_every_intensity_has_its_attackers() {
    for (intensity, expected) in [(Intensity::Low, 1), (Intensity::Medium, 3), (Intensity::High, 6)] {
        let lines: Vec<String> = Generator::new(scenario("BRUTE_FORCE").unwrap(), intensity, 9, start(), 100)
            .take(6_000)
            .collect();
        assert_eq!(attackers(lines.iter().cloned()).len(), expected, "{intensity}");
        for name in [
            "root",
            "invalid user admin",
            "invalid user admin1",
            "invalid user jenkins",
        ] {
            assert!(
                lines
                    .iter()
                    .any(|line| line.contains(&format!("Failed password for {name} from"))),
                "{intensity}: {name}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_seed_is_an_attack_and_no_line_betrays_it(
        seed: u64,
        other: u64,
        name in prop::sample::select(vec!["HEALTHY_FLOW", "BRUTE_FORCE"]),
        eps in 1u32..=500,
        seconds in 0i64..4_000_000_000,
    ) {
        let scenario = scenario(name).unwrap();
        let start = Timestamp::from_secs(seconds);
        let lines: Vec<String> = generate(scenario, seed, start, eps, 300).take(400).collect();
        prop_assert_eq!(lines.len(), 400.min(eps as usize * 300));
        prop_assert_eq!(&lines, &generate(scenario, seed, start, eps, 300).take(400).collect::<Vec<_>>());
        if seed != other {
            prop_assert_ne!(&lines, &generate(scenario, other, start, eps, 300).take(400).collect::<Vec<_>>());
        }
        for line in &lines {
            let lower = line.to_lowercase();
            for word in ["simul", "sim-", "drill", "threatstream", "scenario", "brute", "healthy", "attack", "fake"] {
                prop_assert!(!lower.contains(word), "{}: {}", word, line);
            }
            prop_assert!(!line.is_empty() && !line.chars().any(char::is_control));
        }
    }
}
