//! Whatever the text, rules compile or are set aside; whatever the rules, the prefilters lose no match.

mod sigma_support;

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use proptest::prelude::*;
use serde_json::{Map, Value as Json};
use sigma_support::{load, matching, rule};

const RULE: &str = r"title: A rule
id: 11111111-2222-3333-4444-555555555555
name: n
status: test
level: high
tags: [attack.t1110.001, attack.credential-access]
logsource: { product: test, category: &c process_creation, service: *c }
detection:
    selection_one:
        - CommandLine|contains|all: ['-enc', 'x?y*z', 5, null]
          Image|endswith: '\cmd.exe'
        - Hashes|re|i: '(?:abc|d{2,5})+$'
    selection_two:
        Port|gte: 1024
        Address|cidr: 10.0.0.0/8
        Payload|wide|base64offset|contains: http
        Flag|windash: ' -a'
        Other|fieldref: Image
        Gone|exists: false
    keywords: [one, two]
    condition: 1 of selection_* and not (keywords or all of them)
---
title: c
correlation:
    type: value_count
    rules: [n]
    group-by: [a, b]
    timespan: 5m
    condition: { field: u, gte: 3 }
---
title: f
logsource: { product: test }
filter: { rules: [n], s: { a: b }, condition: not s }
";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_text_panics(text in "\\PC{0,400}") {
        let _ = load(&[&text]);
    }

    #[test]
    fn no_yaml_like_text_panics(text in "([ \n\t:,|>&*!%@`'\"{}\\[\\]#?~a-c0-9.\\\\-]|\n    |: |- |--- |&a |\\*a |<<: |\\|re: |title: |detection:\n){0,200}") {
        let _ = load(&[&text]);
    }

    #[test]
    fn no_mutated_rule_panics(cuts in prop::collection::vec((0usize..RULE.len(), 0usize..12, "[ \n:|\\[\\]{}&*'\"()a-z0-9-]{0,6}"), 1..6)) {
        let mut text = RULE.to_owned();
        for (at, length, inserted) in cuts {
            let start = at.min(text.len());
            let end = (start + length).min(text.len());
            text.replace_range(start..end, &inserted);
        }
        let set = load(&[&text]);
        let _ = matching(&set, r#"{"CommandLine":"one","Port":5}"#);
    }

    #[test]
    fn no_condition_and_no_expression_panics(condition in "(a|b|1 of |all of |them|a\\*|\\(|\\)| and | or | not | ){0,30}", expression in "[ab.*+?(){}|\\\\\\[\\]^$0-9,i:<=!]{0,30}") {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let _ = load(&[&rule(&format!("a:\n    f|re: {}\nb:\n    g: x", quoted(&expression)), &quoted(&condition))]);
    }
}

/// Texts that meet each other often, with all that formats escape.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "B", "k", "K", "s", "i", "abc", "Abc", "\\", "/", "\"", "'", "\n", "\t", "é", "É", "\u{212a}", "\u{130}",
        "\u{17f}", "Σ", "ς", "5", "4624", "1.5", " -", "-x", "&", "<", " ", "ab", "bc", "e3", "=", "\u{0}",
    ]);
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        6 => text().prop_map(Json::from),
        1 => prop::sample::select(vec![5, 4624, 46240, -1]).prop_map(Json::from),
        1 => prop::sample::select(vec![1.5, 4624.0, 1e21, 0.1]).prop_map(Json::from),
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::from),
    ]
}

fn value() -> impl Strategy<Value = Json> {
    prop_oneof![
        4 => scalar(),
        1 => prop::collection::vec(scalar(), 0..3).prop_map(Json::from),
        1 => scalar().prop_map(|inner| serde_json::json!({"g": inner})),
    ]
}

const FIELDS: [&str; 5] = ["f", "g", "h.g", "user.name", "message"];

/// A field, its modifiers, and the values it is compared with.
type Item = (&'static str, &'static str, Vec<Json>);

fn item() -> impl Strategy<Value = Item> {
    let modifiers = prop::sample::select(vec![
        "",
        "|contains",
        "|startswith",
        "|endswith",
        "|contains|all",
        "|cased",
        "|contains|cased",
        "|re",
        "|re|i",
        "|neq",
        "|windash",
        "|contains|windash",
        "|base64offset|contains",
        "|gt",
        "|exists",
        "|fieldref",
        "|wide|contains",
    ]);
    let field = prop_oneof![5 => prop::sample::select(FIELDS.to_vec()), 2 => Just("")];
    let pattern =
        (text(), prop::sample::select(vec!["", "", "*", "?"]), text()).prop_map(|(a, wild, b)| format!("{a}{wild}{b}"));
    let plain = prop_oneof![5 => pattern.prop_map(Json::from), 2 => scalar()];
    (field, modifiers, prop::collection::vec(plain, 1..3))
}

fn yaml((field, modifiers, values): &Item) -> String {
    let values = match *modifiers {
        "|exists" => "true".to_owned(),
        "|gt" => "3".to_owned(),
        // An expression that is no accident.
        "|re" | "|re|i" => {
            let escaped: Vec<_> = values
                .iter()
                .map(|own| regex::escape(own.as_str().unwrap_or("a+b?")))
                .collect();
            serde_json::to_string(&escaped).unwrap()
        }
        _ => serde_json::to_string(values).unwrap(),
    };
    format!("    '{field}{modifiers}': {values}")
}

/// An event that has some of what the items ask for, in another case and among other text.
fn event(items: &[Item]) -> impl Strategy<Value = Json> + use<> {
    let asked: Vec<(String, Json)> = items
        .iter()
        .flat_map(|(field, _, values)| {
            let field = if field.is_empty() { "h" } else { field };
            values.iter().map(|own| (field.to_owned(), own.clone()))
        })
        .collect();
    let other = (
        prop::sample::select(vec!["f", "g", "h", "h.g", "user.name", "message"]),
        value(),
    );
    let around = prop_oneof![3 => Just(String::new()), 1 => text()];
    let own =
        (prop::sample::select(asked), around.clone(), around, 0u8..4).prop_map(|((field, own), before, after, way)| {
            let own = match own {
                Json::String(own) => {
                    let own = own.replace('*', "x").replace('?', "y").replace("\\\\", "\\");
                    let own = match way {
                        0 => own.to_uppercase(),
                        1 => own.to_lowercase().replace('k', "\u{212a}").replace('s', "\u{17f}"),
                        _ => own,
                    };
                    Json::from(format!("{before}{own}{after}"))
                }
                other => other,
            };
            (field, own)
        });
    let own = prop::collection::vec(own, 1..4);
    (own, prop::collection::vec(other, 0..3)).prop_map(|(own, other)| {
        let other = other.into_iter().map(|(field, value)| (field.to_owned(), value));
        Json::Object(other.chain(own).collect::<Map<_, _>>())
    })
}

/// The same JSON with other escapes: what else could have come over the wire.
fn rewritten(raw: &str, way: u8) -> String {
    match way {
        0 => raw.to_owned(),
        1 => raw.replace('/', "\\/"),
        2 => raw.replace('b', "\\u0062").replace("\\\\u0062", "\\b"),
        3 => raw.replace("4624", "4.624e3").replace('k', "\\u006B"),
        _ => raw.replace("a", "\\u0061"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(6_000) })]

    fn prefilters_lose_no_match(
        (items, event) in prop::collection::vec(item(), 1..4).prop_flat_map(|items| (Just(items.clone()), event(&items))),
        condition in prop::sample::select(vec!["a", "a or b", "a and b", "a and not b", "1 of them"]),
        way in 0u8..5,
    ) {
        let items: Vec<_> = items.iter().map(yaml).collect();
        let (first, rest) = items.split_first().unwrap();
        let rest = if rest.is_empty() { "    f: abc".to_owned() } else { rest.join("\n") };
        let set = load(&[&rule(&format!("a:\n{first}\nb:\n{rest}"), condition)]);
        let raw = rewritten(&event.to_string(), way);
        let raw = if serde_json::from_str::<Json>(&raw).is_ok() { raw } else { event.to_string() };
        // It compares the verdicts with and without each prefilter.
        let found = matching(&set, &raw);
        TRIED.fetch_add(1, Relaxed);
        MATCHED.fetch_add(u32::from(!found.is_empty()), Relaxed);
    }
}

static TRIED: AtomicU32 = AtomicU32::new(0);
static MATCHED: AtomicU32 = AtomicU32::new(0);

#[test]
fn prefilters_are_tried_on_matches() {
    prefilters_lose_no_match();
    let (tried, matched) = (TRIED.load(Relaxed), MATCHED.load(Relaxed));
    assert!(matched > tried / 5, "only {matched} of {tried} generated events match");
}
