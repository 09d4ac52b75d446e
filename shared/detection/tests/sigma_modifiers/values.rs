//! Values without modifiers: text, numbers, null, lists, maps.

use crate::check;

#[test]
fn plain_values() {
    check(&[
        (
            "f: Abc",
            &[r#"{"f":"abc"}"#, r#"{"f":"ABC"}"#, r#"{"f":["x","aBc"]}"#],
            &[r#"{"f":"abcd"}"#, r#"{"g":"abc"}"#, "{}", r#"{"f":{"f":"abc"}}"#],
        ),
        ("f: [a, b]", &[r#"{"f":"a"}"#, r#"{"f":"B"}"#], &[r#"{"f":"c"}"#]),
        (
            "f: a\ng: b",
            &[r#"{"f":"a","g":"b"}"#],
            &[r#"{"f":"a"}"#, r#"{"g":"b"}"#],
        ),
        (
            "- f: a\n- g: b\n  h: c",
            &[r#"{"f":"a"}"#, r#"{"g":"b","h":"c"}"#],
            &[r#"{"g":"b"}"#],
        ),
        (
            "f: 4624",
            &[
                r#"{"f":4624}"#,
                r#"{"f":"4624"}"#,
                r#"{"f":4624.0}"#,
                r#"{"f":4.624e3}"#,
            ],
            &[r#"{"f":46240}"#, r#"{"f":"04624"}"#],
        ),
        ("f: '4624'", &[r#"{"f":4624}"#, r#"{"f":"4624"}"#], &[r#"{"f":4625}"#]),
        (
            "f: 1.5",
            &[r#"{"f":1.5}"#, r#"{"f":"1.5"}"#, r#"{"f":1.50}"#],
            &[r#"{"f":15}"#],
        ),
        (
            "f: true",
            &[r#"{"f":true}"#, r#"{"f":"True"}"#],
            &[r#"{"f":false}"#, r#"{"f":1}"#],
        ),
        ("f: ''", &[r#"{"f":""}"#], &["{}", r#"{"f":null}"#, r#"{"f":"x"}"#]),
        (
            "f: null",
            &["{}", r#"{"f":null}"#],
            &[r#"{"f":""}"#, r#"{"f":0}"#, r#"{"f":{}}"#],
        ),
        ("f: [null, '']", &["{}", r#"{"f":""}"#], &[r#"{"f":"x"}"#]),
        (
            "a.b: x",
            &[r#"{"a":{"b":"x"}}"#, r#"{"a.b":"x"}"#, r#"{"a":[{"b":"y"},{"b":"x"}]}"#],
            &[r#"{"a":[{"b":"y"}]}"#, r#"{"b":"x"}"#],
        ),
        (
            "'field with spaces': x",
            &[r#"{"field with spaces":"x"}"#],
            &[r#"{"field":"x"}"#],
        ),
        ("f: GRÜẞE", &[r#"{"f":"grüße"}"#], &[r#"{"f":"gruesse"}"#]),
        (
            "f: kiss",
            &["{\"f\":\"\u{212a}iss\"}", r#"{"f":"\u212aISS"}"#],
            &[r#"{"f":"miss"}"#],
        ),
        (
            r#"f: "C:\\Users\\x\"y""#,
            &[r#"{"f":"c:\\users\\x\"y"}"#, r#"{"f":"c:\u005cUsers\u005cx\u0022y"}"#],
            &[r#"{"f":"c:/users/x"}"#],
        ),
    ]);
}

#[test]
fn a_missing_field_is_null_and_an_empty_one_is_not() {
    check(&[
        (
            "f: null",
            &[r#"{"f":null}"#, "{}", r#"{"g":1}"#],
            &[r#"{"f":""}"#, r#"{"f":0}"#, r#"{"f":"null"}"#, r#"{"f":false}"#],
        ),
        ("f: ''", &[r#"{"f":""}"#], &["{}", r#"{"f":null}"#, r#"{"f":" "}"#]),
        ("f: [null, x]", &["{}", r#"{"f":"x"}"#], &[r#"{"f":"y"}"#]),
        ("f|exists: true", &[r#"{"f":""}"#, r#"{"f":0}"#], &["{}"]),
        ("f|exists: false", &["{}"], &[r#"{"f":""}"#]),
    ]);
}

#[test]
fn names_of_fields_may_hold_spaces_and_dots() {
    check(&[
        (
            "'Logon Type': 10",
            &[r#"{"Logon Type":10}"#, r#"{"Logon Type":"10"}"#],
            &[r#"{"Logon_Type":10}"#],
        ),
        (
            "'Process Name|endswith': '\\\\evil.exe'",
            &[r#"{"Process Name":"C:\\\\evil.exe"}"#],
            &[r#"{"Process Name":"x"}"#],
        ),
        (
            "a.b: c",
            &[r#"{"a.b":"c"}"#, r#"{"a":{"b":"c"}}"#],
            &[r#"{"a":{"c":"b"}}"#],
        ),
        (
            "a.b c.d: e",
            &[r#"{"a":{"b c":{"d":"e"}}}"#],
            &[r#"{"a":{"b":{"d":"e"}}}"#],
        ),
    ]);
}
