//! What cannot be evaluated faithfully, and what evidence a match gives.

use serde_json::json;

use crate::sigma_support;
use crate::sigma_support::{load, rule};

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
