//! Keywords: text anywhere in an event.

use crate::check;

#[test]
fn keywords() {
    check(&[
        (
            "- Evil Service\n- other",
            &[
                r#"{"a":"xx EVIL service"}"#,
                r#"{"a":{"b":["another"]}}"#,
                "no json, evil service",
            ],
            &[r#"{"a":"evil  service"}"#],
        ),
        (
            "'|all': [one, two]",
            &["two and ONE", r#"{"a":"one","b":"two"}"#],
            &["one", "two"],
        ),
        ("'|re': 'a\\d+b'", &["xa12b"], &["xA12b"]),
        ("- 'a*z'", &["x a to z x"], &["z to a"]),
        (
            r"- 'C:\evil'",
            &[r#"{"a":"c:\\EVIL\\x"}"#, r"at c:\evil"],
            &[r#"{"a":"c:/evil"}"#],
        ),
        ("- 4625", &["id 4625", r#"{"a":4625}"#], &["id 4624"]),
        ("- word\n- f: x", &["a word", r#"{"f":"x"}"#], &[r#"{"f":"xy"}"#]),
        ("just text", &["it is JUST text"], &["text just"]),
    ]);
}
