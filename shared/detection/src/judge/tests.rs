//! The judge stage against made-up matches: what the analyzer's own tests do with real lines, here with chosen ones.

use proptest::prelude::*;
use threatstream_domain::{AlertStatus, Priority, Severity, ThreatType};

use super::*;
use crate::found::{Counts, Observed, Verdict, Window};
use crate::sigma::{Bound, Comparison, Condition};

const NOW: i64 = 1_800_000_000;

fn single(event: u32, at: i64, entity: &str) -> Match {
    Match {
        fingerprint: format!("{event:032x}"),
        event: Observed {
            event_id: format!("e{event}"),
            timestamp: Timestamp::from_secs(at),
            received_at: Timestamp::from_secs(NOW),
            format: "text".into(),
            source_ip: Some(entity.to_owned()),
            source_zone: None,
            destination_ip: None,
            destination_port: Some(22),
            user: Some("root".into()),
            host: Some("web-1".into()),
            raw: format!("line {event}"),
            truncated: false,
        },
        rule_id: "rule-1".into(),
        verdict: Verdict {
            id: "rule-1".into(),
            title: "Something bad".into(),
            level: Severity::High,
            threat_type: ThreatType::BruteForce,
            techniques: vec!["T1110".into()],
            recommended_actions: vec![],
            confidence: 0.8,
        },
        evidence: vec![("message".into(), format!("line {event}"))],
        window: None,
        entity: entity.to_owned(),
        simulation_id: None,
        rules_hash: "hash".into(),
    }
}

fn counted(event: u32, at: i64, entity: &str, threshold: u32) -> Match {
    let mut found = single(event, at, entity);
    found.verdict.id = "correlation-1".into();
    found.window = Some(window(Counts::Event, &[(Comparison::Gte, threshold)], entity));
    found
}

fn window(counts: Counts, bounds: &[(Comparison, u32)], entity: &str) -> Window {
    let bound = |(is, value): &(Comparison, u32)| Bound {
        is: *is,
        value: f64::from(*value),
    };
    Window {
        counts,
        condition: Condition::Bounds(bounds.iter().map(bound).collect()),
        timespan_seconds: 60,
        group: vec![("source.ip".into(), entity.to_owned())],
        alone: true,
        feeds: Vec::new(),
    }
}

fn judge(state: &mut JudgeState, matches: &[Match]) -> Judged {
    let (taken, judged) = state.judge(matches, &HashMap::new(), Timestamp::from_secs(NOW), usize::MAX);
    assert_eq!(taken, matches.len());
    judged
}

#[test]
fn a_match_is_a_threat_and_opens_an_alert() {
    let judged = judge(&mut JudgeState::default(), &[single(1, 100, "203.0.113.7")]);
    let (threat, originals) = &judged.threats[0];
    assert_eq!(
        (threat.source_ip.as_deref(), threat.event_count),
        (Some("203.0.113.7"), 1)
    );
    assert_eq!(threat.mitre_attack_id.as_deref(), Some("T1110"));
    assert!((65..=84).contains(&threat.risk_score));
    assert_eq!(originals[0].raw, "line 1");
    let (alert, version) = &judged.alerts[0];
    assert_eq!((alert.priority, alert.event_count, *version), (Priority::P2, 1, 0));
    let kinds: Vec<FrameKind> = judged.frames.iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [FrameKind::NewThreat, FrameKind::NewAlert]);
}

#[test]
fn the_same_match_twice_has_its_effect_once() {
    let mut state = JudgeState::default();
    judge(&mut state, &[single(1, 100, "203.0.113.7")]);
    let again = judge(&mut state, &[single(1, 100, "203.0.113.7")]);
    assert_eq!(
        (again.tally.duplicate, again.threats.len(), again.alerts.len()),
        (1, 0, 0)
    );
}

#[test]
fn the_eleventh_of_a_minute_is_suppressed_and_counts_in_the_alert() {
    let matches: Vec<Match> = (0..25)
        .map(|event| single(event, 600 + i64::from(event), "203.0.113.7"))
        .collect();
    let judged = judge(&mut JudgeState::default(), &matches);
    assert_eq!((judged.tally.stored, judged.tally.suppressed), (10, 15));
    assert_eq!((judged.threats.len(), judged.suppressed.len()), (10, 15));
    assert_eq!(judged.alerts[0].0.event_count, 25);
    assert_eq!(judged.alerts[0].0.threat_ids.len(), 10);
}

#[test]
fn a_window_fires_once_and_its_flood_goes_on_in_the_alert() {
    let matches: Vec<Match> = (0..30)
        .map(|event| counted(event, 600 + i64::from(event), "203.0.113.7", 5))
        .collect();
    let judged = judge(&mut JudgeState::default(), &matches);
    assert_eq!((judged.tally.stored, judged.tally.counted), (1, 29));
    let (threat, originals) = &judged.threats[0];
    assert_eq!((threat.event_count, originals.len()), (5, 5));
    assert_eq!(judged.alerts[0].0.event_count, 30);
    assert_eq!(threat.rule_ids, ["correlation-1", "rule-1"]);
}

#[test]
fn a_closed_alert_is_followed_by_another_that_names_it() {
    let mut state = JudgeState::default();
    let first = judge(&mut state, &[single(1, 100, "203.0.113.7")]).alerts[0]
        .0
        .id
        .clone();
    let next = single(2, 200, "203.0.113.7");
    assert_eq!(state.alerts_of([&next]), std::slice::from_ref(&first));
    let closed = AlertCase {
        status: AlertStatus::Resolved,
        version: 3,
        ..AlertCase::default()
    };
    let cases = HashMap::from([(first.clone(), closed)]);
    let (_, judged) = state.judge(&[next], &cases, Timestamp::from_secs(NOW), 9);
    assert_eq!(judged.alerts[0].0.previous_alert.as_deref(), Some(first.as_str()));
    assert_ne!(judged.alerts[0].0.id, first);
}

#[test]
fn an_alert_begins_and_ends_with_its_events_in_whatever_order_they_came() {
    let orders = [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [3, 6, 0, 5, 1, 4, 2]];
    for order in orders {
        let matches = order.map(|event| counted(event, 600 + i64::from(event), "203.0.113.7", 5));
        let judged = judge(&mut JudgeState::default(), &matches);
        let alert = &judged.alerts[0].0;
        let span = [alert.first_seen, alert.last_seen].map(Timestamp::as_secs);
        assert_eq!((span, alert.event_count), ([600, 606], 7), "{order:?}");
    }
}

#[test]
fn an_alert_is_never_founded_on_a_threat_that_is_not_stored() {
    let mut state = JudgeState::default();
    let flood: Vec<Match> = (0..15).map(|event| single(event, 600, "203.0.113.7")).collect();
    let first = judge(&mut state, &flood).alerts[0].0.id.clone();
    let closed = AlertCase {
        status: AlertStatus::FalsePositive,
        version: 1,
        ..AlertCase::default()
    };
    let cases = HashMap::from([(first, closed)]);
    let next = single(15, 601, "203.0.113.7");
    let (_, judged) = state.judge(&[next], &cases, Timestamp::from_secs(NOW), 9);
    assert_eq!((judged.tally.stored, judged.tally.suppressed), (1, 0));
    assert_eq!(judged.alerts[0].0.threat_id, judged.threats[0].0.id);
}

#[test]
fn drills_and_attacks_do_not_meet() {
    let mut state = JudgeState::default();
    let mut drill: Vec<Match> = (0..4).map(|event| counted(event, 600, "203.0.113.7", 5)).collect();
    drill
        .iter_mut()
        .for_each(|found| found.simulation_id = Some("SIM-1".into()));
    let real: Vec<Match> = (10..14).map(|event| counted(event, 600, "203.0.113.7", 5)).collect();
    assert_eq!(
        judge(&mut state, &drill).tally.stored + judge(&mut state, &real).tally.stored,
        0
    );
    let mut fifth = counted(20, 600, "203.0.113.7", 5);
    fifth.simulation_id = Some("SIM-1".into());
    let judged = judge(&mut state, &[fifth]);
    assert!(judged.threats[0].0.simulated && judged.alerts[0].0.simulated);
    assert_eq!((judged.minute.simulated_threats, judged.minute.threat_count()), (1, 0));
}

#[test]
fn info_makes_a_threat_and_no_alert() {
    let mut found = single(1, 100, "203.0.113.7");
    found.verdict.level = Severity::Info;
    let judged = judge(&mut JudgeState::default(), &[found]);
    assert_eq!((judged.threats.len(), judged.alerts.len()), (1, 0));
}

#[test]
fn a_full_batch_leaves_the_rest() {
    let matches: Vec<Match> = (0..9)
        .map(|event| single(event, 60 * i64::from(event), "203.0.113.7"))
        .collect();
    let (taken, judged) = JudgeState::default().judge(&matches, &HashMap::new(), Timestamp::from_secs(NOW), 4);
    assert_eq!((taken, judged.threats.len()), (4, 4));
}

/// What a store writes for a batch, and tells of.
fn written(judged: &Judged, state: &mut JudgeState, cases: &HashMap<String, AlertCase>) -> usize {
    let json = |value: serde_json::Result<String>| value.unwrap().len();
    let threats: usize = judged
        .threats
        .iter()
        .map(|(threat, originals)| json(serde_json::to_string(threat)) + json(serde_json::to_string(originals)))
        .sum();
    let alerts: usize = judged
        .alerts
        .iter()
        .map(|(group, _)| json(serde_json::to_string(group)))
        .sum();
    let frames: usize = judged.frames.iter().map(|frame| frame.data.get().len()).sum();
    assert!(cases.is_empty() || judged.alerts.iter().any(|(group, _)| cases.contains_key(&group.id)));
    threats + alerts + frames + state.take_delta().len()
}

#[test]
fn a_batch_of_escapes_fits_a_commit() {
    let matches: Vec<Match> = (0..1500)
        .map(|event| {
            let mut found = single(event, 100, &format!("host-{event}"));
            found.event.raw = "\u{1}".repeat(2048);
            found
        })
        .collect();
    let mut state = JudgeState::default();
    let (taken, judged) = state.judge(&matches, &HashMap::new(), Timestamp::from_secs(NOW), usize::MAX);
    let written = written(&judged, &mut state, &HashMap::new());
    assert!(
        taken < matches.len() && written > 3 << 20 && written < 8 << 20,
        "{taken} {written}"
    );
}

#[test]
fn what_analysts_wrote_counts_in_a_batch() {
    let mut state = JudgeState::default();
    let of = |round: u32| -> Vec<Match> {
        let event = |at| single(100 * round + at, 100, &format!("203.0.113.{at}"));
        (0..50).map(event).collect()
    };
    let opened = judge(&mut state, &of(0));
    let _ = state.take_delta();
    let case = AlertCase {
        assigned_to: Some("x".repeat(300_000)),
        version: 1,
        ..AlertCase::default()
    };
    let cases = opened
        .alerts
        .iter()
        .map(|(group, _)| (group.id.clone(), case.clone()))
        .collect();
    let (taken, judged) = state.judge(&of(1), &cases, Timestamp::from_secs(NOW), usize::MAX);
    let written = written(&judged, &mut state, &cases);
    assert!(
        taken < 50 && written > 3 << 20 && written < 8 << 20,
        "{taken} {written}"
    );
}

#[test]
fn an_arrival_in_the_future_makes_nothing_old() {
    let mut state = JudgeState::default();
    judge(&mut state, &[single(1, 100, "203.0.113.7")]);
    let mut found = single(2, 100, "203.0.113.8");
    found.event.received_at = Timestamp::from_secs(NOW * 2);
    judge(&mut state, &[found]);
    assert_eq!(state.alerts_of([&single(3, 100, "203.0.113.7")]).len(), 1);
}

fn arbitrary_match() -> impl Strategy<Value = Match> {
    (0u32..40, 0i64..400, 0u8..3, prop::bool::ANY).prop_map(|(event, at, entity, window)| {
        let entity = format!("203.0.113.{entity}");
        if window {
            counted(event, at, &entity, 3)
        } else {
            single(event + 100, at, &entity)
        }
    })
}

fn outcome(judged: &Judged) -> (Vec<String>, Vec<(String, u64)>, Tally) {
    (
        judged.threats.iter().map(|(threat, _)| threat.id.clone()).collect(),
        judged
            .alerts
            .iter()
            .map(|(group, _)| (group.id.clone(), group.event_count))
            .collect(),
        judged.tally,
    )
}

proptest! {
    /// Killed after any batch, with or without a snapshot since, and restored elsewhere: the rest comes out the same.
    #[test]
    fn saved_state_goes_on_as_if_nothing_had_happened(
        matches in prop::collection::vec(arbitrary_match(), 1..80),
        cut in 0usize..80,
        snapshot_at in 0usize..80,
    ) {
        let cut = cut.min(matches.len());
        let snapshot_at = snapshot_at.min(cut);
        let mut original = JudgeState::default();
        judge(&mut original, &matches[..snapshot_at]);
        let _ = original.take_delta();
        let slots = original.snapshot();
        judge(&mut original, &matches[snapshot_at..cut]);
        let delta = original.take_delta();
        let deltas: Vec<Vec<u8>> = if delta.is_empty() { vec![] } else { vec![delta] };
        let mut restored = JudgeState::load(&slots, &deltas).unwrap();
        let expected = judge(&mut original, &matches[cut..]);
        let got = judge(&mut restored, &matches[cut..]);
        prop_assert_eq!(outcome(&got), outcome(&expected));
    }

    /// Every match is accounted for, and however a stream is cut into batches, the same comes out.
    #[test]
    fn batches_do_not_matter(matches in prop::collection::vec(arbitrary_match(), 1..80), size in 1usize..20) {
        let whole = judge(&mut JudgeState::default(), &matches);
        let mut state = JudgeState::default();
        let (mut threats, mut tally) = (Vec::new(), Tally::default());
        for batch in matches.chunks(size) {
            let judged = judge(&mut state, batch);
            threats.extend(outcome(&judged).0);
            tally.add(&judged.tally);
        }
        prop_assert_eq!(&threats, &outcome(&whole).0);
        prop_assert_eq!(tally, whole.tally);
        prop_assert_eq!(tally.stored + tally.counted + tally.suppressed + tally.duplicate, matches.len() as u64);
    }
}
