//! `re` with its flags.

use crate::check;
use crate::sigma_support::{load, matching, rule};

#[test]
fn expressions() {
    check(&[
        (
            r"f|re: 'a.c$'",
            &[r#"{"f":"xabc"}"#],
            &[r#"{"f":"xABC"}"#, r#"{"f":"abcd"}"#, r#"{"f":"a\nc"}"#],
        ),
        (r"f|re|i: 'a.c'", &[r#"{"f":"ABC"}"#], &[r#"{"f":"ac"}"#]),
        (r"f|re|s: 'a.c'", &[r#"{"f":"a\nc"}"#], &[r#"{"f":"A\nC"}"#]),
        (r"f|re|m: '^b$'", &[r#"{"f":"a\nb\nc"}"#], &[r#"{"f":"abc"}"#]),
        (r"f|re|i|m|s: '^b.c$'", &[r#"{"f":"a\nB\nC"}"#], &[r#"{"f":"abc"}"#]),
        (
            r"f|re: '(?i)kiss'",
            &["{\"f\":\"\u{212a}i\u{17f}s\"}"],
            &[r#"{"f":"kis"}"#],
        ),
        (
            r"f|re: ['\d{3}', x+y]",
            &[r#"{"f":"123"}"#, r#"{"f":123}"#, r#"{"f":"xxy"}"#],
            &[r#"{"f":"12"}"#],
        ),
        (r"f|re|all: ['a', 'b']", &[r#"{"f":"ba"}"#], &[r#"{"f":"a"}"#]),
        (r"f|re|neq: 'a'", &[r#"{"f":"b"}"#, "{}"], &[r#"{"f":"a"}"#]),
        (
            r"f|re: '\\\\Temp\\\\'",
            &[r#"{"f":"C:\\\\Temp\\\\x"}"#],
            &[r#"{"f":"C:\\Temp\\x"}"#],
        ),
    ]);
    // An expression that explodes where engines go back is linear here.
    let set = load(&[&rule("sel:\n    f|re: '^(a+)+$'", "sel")]);
    let raw = format!(r#"{{"f":"{}b"}}"#, "a".repeat(200_000));
    assert!(matching(&set, &raw).is_empty());
}
