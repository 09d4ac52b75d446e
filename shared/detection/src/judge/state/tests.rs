use threatstream_domain::Original;

use super::*;
use crate::found::Counts;
use crate::sigma::Condition;

#[test]
fn windows_weigh_what_they_hold() {
    let mut state = JudgeState::default();
    let original = Original {
        event_id: "e".into(),
        timestamp: threatstream_domain::Timestamp::EPOCH,
        format: "text".into(),
        raw: "x".repeat(1000),
        truncated: false,
    };
    for key in 0..60_000 {
        let event = Contribution {
            counts: Counts::Event,
            condition: Condition::Rules(vec![1]),
            timespan: 60,
            at: 0,
            print: 0,
            rule: "rule".into(),
            original: original.clone(),
            whole: None,
        };
        state.change(Change::Contributed { key, event });
    }
    assert!(state.rest.window_bytes <= MAX_WINDOW_BYTES && state.rest.window_bytes > MAX_WINDOW_BYTES / 2);
    let weight: usize = state.rest.windows.values().map(|(_, windows)| windows.bytes()).sum();
    assert_eq!(state.rest.window_bytes, weight);
}

const HOUR: i64 = 3600 * 1_000_000;

fn alert(id: usize, names: usize) -> AlertGroup {
    let names: Vec<String> = (0..names).map(|at| format!("{at:->128}")).collect();
    AlertGroup {
        id: format!("ALT-{id}"),
        threat_id: String::new(),
        threat_ids: Vec::new(),
        title: String::new(),
        description: String::new(),
        severity: threatstream_domain::Severity::High,
        priority: threatstream_domain::Priority::P2,
        source_ips: names.clone(),
        affected_systems: names,
        mitre_attack_ids: Vec::new(),
        event_count: 1,
        first_seen: threatstream_domain::Timestamp::EPOCH,
        last_seen: threatstream_domain::Timestamp::EPOCH,
        due_at: threatstream_domain::Timestamp::EPOCH,
        created_at: threatstream_domain::Timestamp::EPOCH,
        simulated: false,
        previous_alert: None,
    }
}

fn put(state: &mut JudgeState, key: u128, group: AlertGroup) {
    state.change(Change::Alert { key, group });
}

#[test]
fn alerts_weigh_what_they_hold_and_the_oldest_go_first() {
    let mut state = JudgeState::default();
    for key in 0..800_u32 {
        state.change(Change::Seen(key.into(), i64::from(key)));
        put(&mut state, key.into(), alert(0, 100));
        // Written again, as each event of an alert does.
        put(&mut state, key.into(), alert(0, 100));
    }
    let rest = &state.rest;
    assert!(rest.alert_bytes <= MAX_ALERT_BYTES && rest.alert_bytes > MAX_ALERT_BYTES / 2);
    assert!(state.alerts(0).is_empty() && state.alerts(799).len() == 1);
    let weight: usize = rest.alerts.values().map(|(_, groups)| weigh::groups(groups)).sum();
    assert_eq!(rest.alert_bytes, weight);
    let slots = state.snapshot();
    let saved: usize = slots.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(saved < MAX_ALERT_BYTES + (1 << 20), "{saved}");
    let restored = JudgeState::load(&slots, &[] as &[Vec<u8>]).unwrap();
    assert_eq!(restored.rest.alert_bytes, weight);
}

#[test]
fn one_key_with_many_alerts_keeps_its_weight() {
    let mut state = JudgeState::default();
    for id in 0..20 {
        put(&mut state, 1, alert(id, id));
    }
    assert_eq!(state.alerts(1).len(), MAX_ALERTS_OF_KEY);
    assert_eq!(state.alerts(1)[7].id, "ALT-19");
    assert_eq!(state.rest.alert_bytes, weigh::groups(state.alerts(1)));
}

#[test]
fn what_nothing_touched_for_a_day_is_forgotten_though_there_is_room() {
    let mut state = JudgeState::default();
    state.change(Change::Seen(1, 100 * HOUR));
    put(&mut state, 1, alert(1, 3));
    state.change(Change::Minute { key: 1, minute: 7 });
    state.change(Change::Seen(2, 120 * HOUR));
    put(&mut state, 2, alert(2, 3));
    assert_eq!((state.alerts(1).len(), state.in_minute(1, 7)), (1, 1));
    state.change(Change::Seen(3, 126 * HOUR));
    assert_eq!((state.alerts(1).len(), state.in_minute(1, 7)), (0, 0));
    assert_eq!(state.alerts(2).len(), 1);
    assert_eq!(state.rest.alert_bytes, weigh::groups(state.alerts(2)));
    let restored = JudgeState::load(&[] as &[(u16, Vec<u8>)], &[state.take_delta()]).unwrap();
    assert_eq!(restored.size(), state.size());
}

#[test]
fn after_a_snapshot_that_was_not_stored_the_next_has_everything() {
    let mut state = JudgeState::default();
    state.change(Change::Seen(1, 1));
    let _ = state.take_delta();
    let lost = state.snapshot();
    state.not_saved();
    let slots = state.snapshot();
    assert_eq!(slots, lost);
    assert!(JudgeState::load(&slots, &[] as &[Vec<u8>]).unwrap().has_seen(1));
}

#[test]
fn what_another_layout_wrote_is_refused_by_its_number() {
    let mut state = JudgeState::default();
    state.change(Change::Seen(1, 1));
    let delta = state.take_delta();
    let mut older = delta.clone();
    older[MARK.len()] = LAYOUT - 1;
    let none: [(u16, Vec<u8>); 0] = [];
    let refused = |deltas: &[Vec<u8>]| JudgeState::load(&none, deltas).unwrap_err().to_string();
    assert!(refused(&[older]).contains("has layout 1, and this version reads layout 2"));
    assert!(refused(&[vec![0]]).contains("no layout number"));
    assert!(refused(&[delta[..delta.len() - 1].to_vec()]).contains("cannot be read"));
    let slots: Vec<(u16, Vec<u8>)> = state
        .snapshot()
        .into_iter()
        .map(|(slot, bytes)| {
            (
                slot,
                if slot < REST_SLOT {
                    bytes
                } else {
                    bytes[MARK.len()..].to_vec()
                },
            )
        })
        .collect();
    let deltas: [Vec<u8>; 0] = [];
    assert!(matches!(
        JudgeState::load(&slots, &deltas),
        Err(UnreadableState::Layout { found: None })
    ));
}
