//! Wildcards, escapes, and where in a value something stands: `contains`, `startswith`, `endswith`, `all`, `cased`.

use crate::check;

#[test]
fn wildcards() {
    check(&[
        (
            "f: a*c",
            &[r#"{"f":"ac"}"#, r#"{"f":"aBBBC"}"#, r#"{"f":"a\nc"}"#],
            &[r#"{"f":"acd"}"#],
        ),
        (
            "f: a?c",
            &[r#"{"f":"abc"}"#, r#"{"f":"aéc"}"#],
            &[r#"{"f":"ac"}"#, r#"{"f":"abbc"}"#],
        ),
        (r"f: 'a\*c'", &[r#"{"f":"a*c"}"#], &[r#"{"f":"abc"}"#]),
        (r"f: 'a\?c'", &[r#"{"f":"a?c"}"#], &[r#"{"f":"abc"}"#]),
        (
            r"f: 'a\\*c'",
            &[r#"{"f":"a\\bc"}"#, r#"{"f":"a\\c"}"#],
            &[r#"{"f":"abc"}"#],
        ),
        (r"f: 'a\\\*c'", &[r#"{"f":"a\\*c"}"#], &[r#"{"f":"a\\bc"}"#]),
        (r"f: '\\\\host\*'", &[r#"{"f":"\\\\host*"}"#], &[r#"{"f":"\\host*"}"#]),
        (
            r"f: '*\cmd.exe'",
            &[r#"{"f":"C:\\x\\CMD.EXE"}"#],
            &[r#"{"f":"cmd.exe"}"#],
        ),
        (
            "f: '*'",
            &[r#"{"f":"x"}"#, r#"{"f":""}"#, r#"{"f":1}"#],
            &["{}", r#"{"f":null}"#],
        ),
        ("f: '?*'", &[r#"{"f":"x"}"#], &[r#"{"f":""}"#]),
    ]);
}

#[test]
fn places_and_all() {
    check(&[
        (
            "f|contains: bc",
            &[r#"{"f":"aBCd"}"#, r#"{"f":["x","abc"]}"#],
            &[r#"{"f":"b c"}"#, "{}"],
        ),
        ("f|contains: 62", &[r#"{"f":4624}"#], &[r#"{"f":4642}"#]),
        ("f|contains: a?c*e", &[r#"{"f":"xabcdex"}"#], &[r#"{"f":"ace"}"#]),
        ("f|startswith: ab", &[r#"{"f":"ABc"}"#], &[r#"{"f":"cab"}"#]),
        (
            "f|endswith: [bc, \\d]",
            &[r#"{"f":"aBC"}"#, r#"{"f":"x\\d"}"#],
            &[r#"{"f":"bca"}"#],
        ),
        (
            "f|contains|all: [a, b]",
            &[r#"{"f":"xbay"}"#, r#"{"f":["a","b"]}"#],
            &[r#"{"f":"a"}"#],
        ),
        ("f|all|startswith: [a, ab]", &[r#"{"f":"abc"}"#], &[r#"{"f":"ac"}"#]),
        (
            "f|contains: [a1, b2, c3, d4, e5, f6, g7]",
            &[r#"{"f":"xG7x"}"#, r#"{"f":"a1"}"#],
            &[r#"{"f":"a2"}"#],
        ),
        ("f|cased: Abc", &[r#"{"f":"Abc"}"#], &[r#"{"f":"abc"}"#]),
        ("f|contains|cased: B", &[r#"{"f":"aBc"}"#], &[r#"{"f":"abc"}"#]),
        ("f|startswith|cased: 'A*C'", &[r#"{"f":"AbCd"}"#], &[r#"{"f":"abcd"}"#]),
        ("f|neq: a", &[r#"{"f":"b"}"#, "{}"], &[r#"{"f":"A"}"#]),
        ("f|neq: [a, 5]", &[r#"{"f":"b"}"#], &[r#"{"f":"a"}"#, r#"{"f":5}"#]),
        ("f|neq: null", &[r#"{"f":"b"}"#], &["{}", r#"{"f":null}"#]),
    ]);
}
