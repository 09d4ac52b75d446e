//! Every modifier, and every shape of a value, against events that must and must not match.

mod sigma_support;

use serde_json::json;
use sigma_support::{load, matching, rule};

/// The detection's one search identifier, events it matches, events it does not.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

fn check(cases: &[Case]) {
    for (search, matches, differs) in cases {
        let set = load(&[&rule(&format!("sel:\n    {}", search.replace('\n', "\n    ")), "sel")]);
        assert!(set.set_aside().is_empty(), "{search}: {:?}", set.set_aside());
        for raw in *matches {
            assert_eq!(matching(&set, raw), ["r"], "{search} must match {raw}");
        }
        for raw in *differs {
            assert!(matching(&set, raw).is_empty(), "{search} must not match {raw}");
        }
    }
}

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

#[test]
fn magnitudes_networks_existence_and_fields() {
    check(&[
        (
            "f|gt: 5",
            &[r#"{"f":6}"#, r#"{"f":5.5}"#, r#"{"f":"6"}"#],
            &[r#"{"f":5}"#, r#"{"f":"x"}"#, "{}", r#"{"f":true}"#, r#"{"f":"inf"}"#],
        ),
        ("f|gte: 5", &[r#"{"f":5}"#], &[r#"{"f":4.9}"#]),
        ("f|lt: 5", &[r#"{"f":-6}"#], &[r#"{"f":5}"#, r#"{"f":null}"#]),
        ("f|lte: 5.5", &[r#"{"f":5.5}"#], &[r#"{"f":6}"#]),
        (
            "f|gt: 9007199254740992",
            &[r#"{"f":9007199254740993}"#],
            &[r#"{"f":9007199254740992}"#],
        ),
        (
            "f|cidr: 10.0.0.0/8",
            &[
                r#"{"f":"10.255.0.1"}"#,
                r#"{"f":"::ffff:10.1.1.1"}"#,
                r#"{"f":["1.1.1.1","10.0.0.1"]}"#,
            ],
            &[r#"{"f":"11.0.0.1"}"#, r#"{"f":"10.0.0"}"#, r#"{"f":10}"#, "{}"],
        ),
        (
            "f|cidr: [192.168.0.0/16, '2001:db8::/32']",
            &[r#"{"f":"2001:DB8::1"}"#, r#"{"f":"192.168.1.1"}"#],
            &[r#"{"f":"2001:db9::1"}"#],
        ),
        ("f|cidr: 10.1.2.3", &[r#"{"f":"10.1.2.3"}"#], &[r#"{"f":"10.1.2.4"}"#]),
        (
            "f|cidr|neq: 10.0.0.0/8",
            &[r#"{"f":"11.0.0.1"}"#],
            &[r#"{"f":"10.0.0.1"}"#],
        ),
        (
            "f|exists: true",
            &[r#"{"f":"x"}"#, r#"{"f":null}"#, r#"{"f":""}"#, r#"{"f":{}}"#],
            &["{}"],
        ),
        ("f|exists: false", &[r#"{"g":1}"#, "{}"], &[r#"{"f":null}"#]),
        (
            "f|fieldref: g",
            &[r#"{"f":"A","g":"a"}"#, r#"{"f":1,"g":"1"}"#],
            &[r#"{"f":"a","g":"b"}"#, r#"{"f":"a"}"#, "{}"],
        ),
        (
            "f|fieldref|cased: g",
            &[r#"{"f":"a","g":"a"}"#],
            &[r#"{"f":"A","g":"a"}"#],
        ),
        (
            "f|fieldref|endswith: g",
            &[r#"{"f":"xyA","g":"ya"}"#],
            &[r#"{"f":"ya","g":"xya"}"#],
        ),
        (
            "f|fieldref|neq: g",
            &[r#"{"f":"a","g":"b"}"#, r#"{"f":"a"}"#],
            &[r#"{"f":"a","g":"a"}"#],
        ),
    ]);
}

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

#[test]
fn what_cannot_be_evaluated_is_set_aside_with_its_field() {
    for (search, expected) in [
        (
            "f|containz: x",
            "field `f|containz`: the modifier `containz` is unknown",
        ),
        ("f|re: '(?=x)y'", "looks around"),
        ("f|re: '(a)\\1'", "refused"),
        ("f|re: '(?:a{1000}){1000}'", "refused"),
        ("f|expand: '%admins%'", "placeholders"),
        ("f|gt: x", "needs a number"),
        ("f|cidr: 10.0.0.0/40", "CIDR"),
        ("f|exists: maybe", "true or false"),
        ("f|base64: 'a*b'", "wildcards"),
        ("f|utf16: cmd", "no text"),
        ("f|contains|startswith: x", "two of"),
        ("f|re|gt: x", "two modifiers"),
        ("f|i: x", "behind `re`"),
        ("f|hour: 5", "time modifier"),
        ("f: { g: 1 }", "a map instead of a value"),
        ("f: []", "an empty list"),
        ("f|contains: null", "null with modifiers"),
        ("f|base64offset|contains: ''", "too short"),
        ("|exists: true", "needs the name"),
    ] {
        let search = if search.starts_with('|') {
            format!("'{}'{}", &search[..7], &search[7..])
        } else {
            search.to_owned()
        };
        let set = load(&[&rule(&format!("sel:\n    {search}"), "sel")]);
        let [aside] = set.set_aside() else {
            panic!("{search} loads")
        };
        assert!(aside.reason.contains(expected), "{search}: {}", aside.reason);
        assert!(set.rules().is_empty());
    }
}

#[test]
fn evidence_names_what_matched() {
    let set = load(&[&rule(
        "sel:\n    f|contains: [x, bad]\n    g: null\nkey: [needle]\nnot_f:\n    h: 1",
        "sel and key and not not_f",
    )]);
    let long = format!("needle{}", "é".repeat(2_000));
    let json = json!({"f": ["fine", "very bad"], "k": long});
    let raw = json.to_string();
    let event = sigma_support::event(&raw, &json, sigma_support::source(None, Some("test"), None));
    let found = set.matches(&event);
    let shown: Vec<_> = found[0]
        .evidence
        .iter()
        .map(|one| (one.field.as_str(), one.value.as_str()))
        .collect();
    assert_eq!(shown[0], ("f", "very bad"));
    assert_eq!(shown[1].0, "message");
    assert!(shown[1].1.contains("needle") && shown[1].1.len() <= 1_024);
    assert_eq!(shown.len(), 2);
}
