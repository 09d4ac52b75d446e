//! What holds for any body.

use std::sync::LazyLock;

use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::world::World;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static WORLD: LazyLock<World> = LazyLock::new(|| RUNTIME.block_on(async { World::new() }));

/// Bytes that are likely to matter to a splitter or a parser.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "\n", "\r\n", "\r", " ", "{", "}", "[", "]", ",", ":", "\"", "\\", "{}", "[]", "null", "{\"Records\":[", "{\"event_type\":\"a\"}",
            "{\"event_id\":\"x\",\"event_type\":\"a\"}", "\"event_id\"", "\u{feff}", "\u{85}", "\0", "\u{1b}[31m", "é", "1e999",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn non_blank_lines(body: &[u8]) -> u64 {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    body.split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .count() as u64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_accounted_for(body in bytes(), text in any::<bool>()) {
        let kind = if text { "text/plain" } else { "application/x-ndjson" };
        let answer = RUNTIME.block_on(WORLD.post("/api/events", kind, body.clone()));
        let json = answer.json();
        let count = |name: &str| json[name].as_u64().unwrap();
        prop_assert_eq!(count("accepted") + count("rejected"), non_blank_lines(&body));
        prop_assert_eq!(answer.status.as_u16(), if count("accepted") > 0 { 202 } else { 400 });
    }

    #[test]
    fn any_document_is_answered(body in bytes(), kind in prop::sample::select(vec!["application/json", "application/json; charset=x", "text/plain", "odd"])) {
        let answer = RUNTIME.block_on(WORLD.post("/api/events", kind, body.clone()));
        prop_assert!([202, 400, 415].contains(&answer.status.as_u16()), "{}: {:?}", answer.status, answer.json());
        if answer.status != 202 {
            prop_assert!(!answer.fields().is_empty());
        }
    }
}
