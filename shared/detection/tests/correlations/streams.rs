//! Random streams over all types at once: what is saved and restored, cut into batches or spread over partitions comes to the
//! same.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;
use threatstream_detection::judge::JudgeState;

use super::world::{Event, Log, World, correlation};

/// Decided at once, each with events of its own group.
const AT_ONCE: &[&str] = &[
    "type: event_count\nrules: [a, b]\ngroup-by: [user]\ntimespan: 60s\ncondition: { gte: 3 }",
    "type: value_count\nrules: [a]\ngroup-by: [user]\ntimespan: 60s\ncondition: { field: host, gte: 2 }",
    "type: temporal\nrules: [a, b, c]\ngroup-by: [user]\ntimespan: 60s",
    "type: temporal_ordered\nrules: [a, b, c]\ngroup-by: [host]\ntimespan: 60s",
    "type: temporal_ordered\nrules: [d, c, b]\ngroup-by: [user]\ntimespan: 60s\ncondition: { gte: 2 }",
    "type: value_sum\nrules: [a, c]\ngroup-by: [host]\ntimespan: 60s\ncondition: { field: bytes, gte: 150 }",
];

/// Decided by the order of arrival, too: of one group, that is the same in every partition.
const BY_ARRIVAL: &[&str] = &[
    "type: value_avg\nrules: [b]\ngroup-by: [user]\ntimespan: 60s\ncondition: { field: bytes, gt: 60 }",
    "type: value_percentile\nrules: [a, b]\ngroup-by: [user]\ntimespan: 60s\ncondition: { field: bytes, gt: 80, percentile: 90 }",
    "type: value_median\nrules: [c]\ngroup-by: [host]\ntimespan: 60s\ncondition: { field: bytes, gte: 50 }",
    "type: event_count\nrules: [b]\ngroup-by: [user]\ntimespan: 60s\ncondition: { gt: 1, lte: 3 }",
    "type: value_sum\nrules: [a]\ngroup-by: [user]\ntimespan: 60s\ncondition: { field: bytes, lt: 90 }",
    "type: temporal\nrules: [a, d]\ngroup-by: [user]\ntimespan: 60s\ncondition: { neq: 2 }",
    "type: value_median\nrules: [d]\ngroup-by: [user]\ntimespan: 60s\ncondition: { field: bytes, lte: 40 }",
];

/// Over the others; `c00` and `c09` are theirs.
const CHAINED: &[&str] = &[
    "type: temporal_ordered\nrules: [c00, d]\ngroup-by: [user]\ntimespan: 120s",
    "type: value_count\nrules: [c00, c01]\ngroup-by: [host]\ntimespan: 120s\ncondition: { field: user, gte: 2 }",
    "type: temporal\nrules: [c13, c09]\ngroup-by: [user]\ntimespan: 300s\ngenerate: true",
];

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let all = AT_ONCE.iter().chain(BY_ARRIVAL).chain(CHAINED);
    let texts: Vec<String> = (0..)
        .zip(all)
        .map(|(n, text)| correlation(&format!("c{n:02}"), text))
        .collect();
    World::with(&texts)
});

fn stream() -> impl Strategy<Value = Vec<Event>> {
    let event = (0u64..200, 0i64..400, 0usize..4, 0u8..3, 0u8..3, 0u32..100);
    prop::collection::vec(event, 1..120).prop_map(|list| {
        let one = |(id, at, kind, user, host, bytes): (u64, i64, usize, u8, u8, u32)| {
            let kind = ["a", "b", "c", "d"][kind];
            let fields = json!({"kind": kind, "user": format!("u{user}"), "host": format!("h{host}"), "bytes": bytes});
            (id, at, fields)
        };
        list.into_iter().map(one).collect()
    })
}

/// What came of a stream, in any order.
fn outcome(log: &Log) -> BTreeSet<String> {
    let tell = |threat: &threatstream_domain::Threat| {
        format!(
            "{} {} {} {:?}",
            threat.id, threat.event_id, threat.event_count, threat.evidence
        )
    };
    log.threats.iter().map(tell).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Killed after any batch and restored elsewhere from the last snapshot and the deltas since.
    #[test]
    fn a_state_restored_anywhere_goes_on_the_same(stream in stream(), size in 1usize..12, saves in prop::collection::vec(0u8..4, 1..40)) {
        let matches = WORLD.all(&stream);
        let mut whole = Log::new(1);
        whole.append(matches.clone());
        whole.judge(usize::MAX - 1_000_000);
        let mut killed = Log::new(1);
        killed.append(matches);
        let (mut slots, mut deltas) = (Vec::new(), Vec::new());
        for save in saves.iter().cycle() {
            if !killed.batch(0, size) {
                break;
            }
            let state = &mut killed.states[0];
            let delta = state.take_delta();
            if !delta.is_empty() {
                deltas.push(delta);
            }
            match save {
                0 => {
                    for (slot, bytes) in state.snapshot() {
                        slots.retain(|(other, _)| *other != slot);
                        slots.push((slot, bytes));
                    }
                    deltas.clear();
                }
                1 => {
                    let restored = JudgeState::load(&slots, &deltas).expect("what was saved");
                    prop_assert_eq!(restored.size(), state.size());
                    *state = restored;
                }
                _ => {}
            }
        }
        prop_assert_eq!(outcome(&killed), outcome(&whole));
        prop_assert_eq!(killed.tally, whole.tally);
    }

    /// One partition or six, whatever the batches. Which event completes a chain may differ, for its parts come by different
    /// ways; that it is complete does not.
    #[test]
    fn the_number_of_partitions_does_not_matter(stream in stream(), size in 1usize..12) {
        let matches = WORLD.all(&stream);
        let run = |partitions: usize, size: usize| {
            let mut log = Log::new(partitions);
            log.append(matches.clone());
            log.judge(size);
            log
        };
        let (one, six) = (run(1, 1000), run(6, size));
        prop_assert_eq!(one.ids(), six.ids());
        let unchained = |log: &Log| {
            let chained = |told: &&String| !told.contains("id-c13") && !told.contains("id-c14") && !told.contains("id-c15");
            outcome(log).iter().filter(chained).cloned().collect::<Vec<_>>()
        };
        prop_assert_eq!(unchained(&one), unchained(&six));
        prop_assert_eq!(one.tally.duplicate, six.tally.duplicate);
    }

    /// What is decided at once does not depend on the order of arrival.
    #[test]
    fn the_order_of_arrival_does_not_matter_for_what_is_decided_at_once(stream in stream().prop_shuffle()) {
        let mut seen = BTreeSet::new();
        // Of two that are known by the same id and say the same only the first counts.
        let shuffled: Vec<Event> = stream.into_iter().filter(|(id, ..)| seen.insert(*id)).collect();
        let mut in_order = shuffled.clone();
        in_order.sort_by_key(|(id, at, _)| (*at, *id));
        let run = |stream: &[Event]| {
            let mut log = Log::new(1);
            let decided = |found: &threatstream_detection::Match| {
                let window = found.window.as_ref().expect("rules are only counted");
                AT_ONCE.len() > found.verdict.id[4..].parse::<usize>().expect("a number") && window.condition.is_decided_at_once()
            };
            log.append(WORLD.all(stream).into_iter().filter(decided));
            log.judge(9);
            let own = |threat: &threatstream_domain::Threat| threat.rule_ids[0][4..].parse::<usize>().expect("a number") < AT_ONCE.len();
            log.threats.retain(own);
            log.ids().into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(run(&shuffled), run(&in_order));
    }
}
