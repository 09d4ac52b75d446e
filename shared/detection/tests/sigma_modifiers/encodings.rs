//! `base64`, `base64offset`, `wide` and its relatives, `windash`.

use serde_json::json;

use crate::check;
use crate::sigma_support::{load, matching, rule};

#[test]
fn encodings() {
    check(&[
        (
            "f|base64: foo",
            &[r#"{"f":"Zm9v"}"#],
            &[r#"{"f":"xZm9v"}"#, r#"{"f":"foo"}"#],
        ),
        ("f|base64|contains: foo", &[r#"{"f":"xxZm9vxx"}"#], &[r#"{"f":"Zm9x"}"#]),
        (
            "f|utf16le|base64: cmd",
            &[r#"{"f":"YwBtAGQA"}"#],
            &[r#"{"f":"AGMAbQBk"}"#],
        ),
        ("f|wide|base64: cmd", &[r#"{"f":"YwBtAGQA"}"#], &[]),
        (
            "f|utf16be|base64: cmd",
            &[r#"{"f":"AGMAbQBk"}"#],
            &[r#"{"f":"YwBtAGQA"}"#],
        ),
        (
            "f|utf16|base64: cmd",
            &[r#"{"f":"//5jAG0AZAA="}"#],
            &[r#"{"f":"YwBtAGQA"}"#],
        ),
        (
            "f|wide|contains: cmd",
            &[r#"{"f":"xc\u0000m\u0000d\u0000"}"#],
            &[r#"{"f":"cmd"}"#],
        ),
        (
            "f|windash|contains: ' -enc'",
            &[
                r#"{"f":"p -enc"}"#,
                r#"{"f":"p /ENC"}"#,
                r#"{"f":"p –enc"}"#,
                r#"{"f":"p —enc"}"#,
                r#"{"f":"p ―enc"}"#,
            ],
            &[r#"{"f":"p +enc"}"#],
        ),
        ("f|windash: '-a x-b'", &[r#"{"f":"/a x-b"}"#], &[r#"{"f":"/a x/b"}"#]),
        (
            "f|contains|windash: '-a /b -c'",
            &[r#"{"f":"/a —b –c"}"#],
            &[r#"{"f":"-a b -c"}"#],
        ),
        (
            "f|contains|all|windash: [' -a', ' -b']",
            &[r#"{"f":"x /b -a"}"#],
            &[r#"{"f":"x -a"}"#],
        ),
    ]);
}

#[test]
fn base64_at_every_alignment() {
    use base64::Engine as _;
    let set = load(&[&rule("sel:\n    f|base64offset|contains: 'IEX (New-'", "sel")]);
    let wide = load(&[&rule("sel:\n    f|wide|base64offset|contains: 'IEX'", "sel")]);
    for before in 0..6 {
        for after in 0..4 {
            let encode = |bytes: &[u8]| {
                json!({"f": format!("p -e {}", base64::engine::general_purpose::STANDARD.encode(bytes))}).to_string()
            };
            let plain = format!("{}IEX (New-{}", "x".repeat(before), "y".repeat(after));
            assert_eq!(matching(&set, &encode(plain.as_bytes())), ["r"], "{before} {after}");
            let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(matching(&wide, &encode(&utf16)), ["r"], "{before} {after}");
            assert!(matching(&set, &encode(plain.replace("IEX", "IEY").as_bytes())).is_empty());
        }
    }
}
