//! Log sources, attributes, collections: what a rule set makes of its files.

mod sigma_support;

use std::borrow::Cow;

use serde_json::json;
use sigma_support::{event, load, matching, rule, source};
use threatstream_detection::sigma::RuleSet;
use threatstream_domain::{Severity, ThreatType};

fn base(id: &str, rest: &str) -> String {
    format!(
        "title: {id}\nid: {id}\n{rest}\nlogsource: {{ product: test }}\ndetection:\n    sel:\n        f: {id}\n    condition: sel\n"
    )
}

fn reasons(set: &RuleSet) -> Vec<&str> {
    set.set_aside().iter().map(|aside| aside.reason.as_str()).collect()
}

#[test]
fn a_log_source_asks_for_every_part_it_names() {
    let with = |id: &str, parts: &str| {
        format!("title: t\nid: {id}\nlogsource: {{ {parts} }}\ndetection: {{ s: {{ f: x }}, condition: s }}\n")
    };
    let set = load(&[
        &with("any", "definition: nothing"),
        &with("cat", "category: webserver"),
        &with("prod", "product: Linux"),
        &with("all", "category: webserver, product: linux, service: nginx"),
        &with("serv", "product: linux, service: sshd"),
    ]);
    assert_eq!(reasons(&set), Vec::<&str>::new());
    let json = json!({"f": "x"});
    let ids = |category, product, service| {
        let found = set.matches(&event(r#"{"f":"x"}"#, &json, source(category, product, service)));
        found
            .iter()
            .map(|found| found.rule.id.clone())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(ids(None, None, None), "any");
    assert_eq!(ids(Some("webserver"), None, None), "any cat");
    assert_eq!(ids(Some("webserver"), Some("linux"), Some("nginx")), "all any cat prod");
    assert_eq!(ids(None, Some("linux"), Some("sshd")), "any prod serv");
    assert_eq!(ids(None, None, Some("sshd")), "any");
}

#[test]
fn conditions_decide() {
    let searches = "a:\n    f: x\nb:\n    g: y\n_c:\n    h: z";
    let (x, y, z, xy) = (r#"{"f":"x"}"#, r#"{"g":"y"}"#, r#"{"h":"z"}"#, r#"{"f":"x","g":"y"}"#);
    for (condition, matches, differs) in [
        ("a and not b", vec![x], vec![xy, y]),
        ("a or b", vec![x, y, xy], vec![z]),
        ("not a", vec![y, z, "{}"], vec![x]),
        ("all of them", vec![xy], vec![x, y]),
        ("1 of them", vec![x, y], vec![z]),
        ("1 of _*", vec![z], vec![x]),
        ("[a and b, _c]", vec![xy, z], vec![x]),
        ("not 1 of them and not _c", vec!["{}"], vec![x, z]),
    ] {
        let set = load(&[&rule(searches, condition)]);
        for raw in matches {
            assert_eq!(matching(&set, raw), ["r"], "{condition}: {raw}");
        }
        for raw in differs {
            assert!(matching(&set, raw).is_empty(), "{condition}: {raw}");
        }
    }
    let set = load(&[&rule(searches, "a and d")]);
    assert!(reasons(&set)[0].contains("no search identifier `d`"));
}

#[test]
fn one_bad_document_spoils_no_other() {
    let text = format!(
        "{}---\ntitle: [broken\n---\n{}---\ntitle: nothing\n---\n- list\n",
        base("a", ""),
        base("b", "")
    );
    let set = load(&[&text, "", "title: x\ntitle: y", &base("a", "level: high")]);
    assert_eq!(
        set.rules().iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(set.set_aside().len(), 6, "{:?}", set.set_aside());
    assert!(
        reasons(&set)
            .iter()
            .any(|reason| reason.contains("the id `a` is taken by a rule of 0.yml"))
    );
    assert!(set.rule("b").is_some() && set.rule("c").is_none());
}

#[test]
fn attributes() {
    let text = base(
        "a",
        "name: n\nlevel: critical\nstatus: test\ntags: [attack.T1110.001, attack.credential_access, attack.g0010, cve.2020-1]\nfields: [f]\nfalsepositives: Unknown\nrecommended_actions: [block it]",
    );
    let set = load(&[&text]);
    let rule = set.rule("a").unwrap();
    assert_eq!(rule.level, Severity::Critical);
    assert_eq!(
        (rule.techniques.as_slice(), rule.tactics.as_slice()),
        (&["T1110.001".to_owned()][..], &["credential-access".to_owned()][..])
    );
    assert_eq!(rule.threat_type, ThreatType::BruteForce);
    assert_eq!(
        (rule.name.as_deref(), rule.status.as_deref()),
        (Some("n"), Some("test"))
    );
    assert_eq!(
        (
            &*rule.fields[0],
            &*rule.false_positives[0],
            &*rule.recommended_actions[0]
        ),
        ("f", "Unknown", "block it")
    );
    assert!(rule.alerts_alone);
    let typed = load(&[
        &base("a", "threat_type: MALWARE"),
        &base("b", "threat_type: WORSE"),
        &base("c", "level: worst"),
        &base("d", "tags: [attack.exfiltration]"),
        &base("e", ""),
    ]);
    assert_eq!(typed.rule("a").unwrap().threat_type, ThreatType::Malware);
    assert_eq!(typed.rule("d").unwrap().threat_type, ThreatType::DataExfiltration);
    assert_eq!(typed.rule("e").unwrap().threat_type, ThreatType::SuspiciousActivity);
    assert_eq!(typed.rule("e").unwrap().level, Severity::Medium);
    assert!(reasons(&typed)[0].starts_with("`threat_type`: `WORSE`: unknown threat_type"));
    assert_eq!(reasons(&typed)[1], "`level`: `worst` is unknown");
}

#[test]
fn the_hash_is_of_content_alone() {
    let (a, b) = (base("a", ""), base("b", ""));
    let hash = |files: &[(&str, &str)]| {
        RuleSet::load(files.iter().map(|(name, text)| (Cow::from(*name), Cow::from(*text))))
            .hash()
            .to_owned()
    };
    let one = hash(&[("1", &a), ("2", &b)]);
    assert_eq!(one.len(), 16);
    assert_eq!(one, hash(&[("9", &b), ("3", &format!("# comment\n{a}"))]));
    assert_eq!(one, hash(&[("1", &format!("{b}---\n{a}"))]));
    assert_ne!(one, hash(&[("1", &a)]));
    assert_ne!(one, hash(&[("1", &a), ("2", &b.replace("f: b", "f: c"))]));
}

#[test]
fn collections_with_a_global_part() {
    let text = "action: global\ntitle: t\nlogsource: { product: test }\ndetection: { condition: sel }\n---\nid: a\ndetection: { sel: { f: a } }\n---\nid: b\ndetection: { sel: { f: b } }\n---\naction: repeat\nid: c\ndetection: { sel: { g: c } }\n---\naction: reset\n---\nid: d\ndetection: { sel: { f: d } }\n";
    let set = load(&[text]);
    assert_eq!(matching(&set, r#"{"f":"a"}"#), ["a"]);
    assert_eq!(matching(&set, r#"{"f":"b"}"#), ["b"]);
    assert_eq!(
        matching(&set, r#"{"f":"b","g":"c"}"#),
        ["b", "c"],
        "it repeats the rule before it, with more"
    );
    assert_eq!(
        reasons(&set),
        ["document 6: `title`: is missing"],
        "nothing is left of the global part"
    );
    let wrong = load(&["action: repeat\nid: a", "action: merge\nid: a"]);
    assert_eq!(
        reasons(&wrong),
        [
            "`action`: there is no rule before it to repeat",
            "`action`: `merge` is none of `global`, `reset` and `repeat`"
        ]
    );
}

#[test]
fn a_set_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<RuleSet>();
    let empty = load(&[]);
    assert!(!empty.might_match(b"anything") && matching(&empty, "{}").is_empty());
}

#[test]
fn the_prefilter_over_bytes_says_no_where_it_can() {
    let set = load(&[&rule(
        "sel:\n    Image|endswith: '\\evil.exe'\n    user.name: root",
        "sel",
    )]);
    assert!(!set.might_match(br#"{"Image":"C:\\Windows\\notepad.exe","n":12345,"m":1.5}"#));
    assert!(set.might_match(br#"{"Image":"C:\\EVIL.exe"}"#));
    // A normalised field need not stand in the line, so that its rule is tried on every line.
    let derived = load(&[&rule("sel:\n    event.outcome: failure", "sel")]);
    assert!(derived.might_match(b"anything"));
    assert_eq!(derived.unfiltered().count(), 1);
    assert_eq!(set.unfiltered().count(), 0);
}

#[test]
fn a_deprecated_rule_goes_where_its_successor_is() {
    let old = base("a", "status: deprecated");
    let successor = |kind: &str| base("b", &format!("related: [{{ id: a, type: {kind} }}]"));
    let alone = load(&[&old]);
    assert_eq!(alone.rules().len(), 1, "nothing else finds it");
    for kind in ["obsolete", "merged", "renamed"] {
        let set = load(&[&old, &successor(kind)]);
        assert_eq!(
            reasons(&set),
            ["it is deprecated, and `b`, which replaces it, is loaded"],
            "{kind}"
        );
        let current = load(&[&base("a", ""), &successor(kind)]);
        assert_eq!(
            current.rules().len(),
            2,
            "{kind}: it does not say that it is deprecated"
        );
    }
    assert_eq!(load(&[&old, &successor("similar")]).rules().len(), 2);
    let unsupported = load(&[&base("a", "status: unsupported")]);
    assert_eq!(reasons(&unsupported), ["its status says that it is unsupported"]);
    let counted =
        "title: c\nid: c\ncorrelation: { type: event_count, rules: [a], timespan: 1m, condition: { gte: 1 } }\n";
    let still = load(&[&old, &successor("obsolete"), counted]);
    assert_eq!(reasons(&still), Vec::<&str>::new(), "a correlation counts it");
}

#[test]
fn another_taxonomy_is_not_guessed_at() {
    let set = load(&[
        &base("a", "taxonomy: sigma"),
        &base("b", "taxonomy: ecs"),
        &base("c", "taxonomy: acme"),
    ]);
    assert_eq!(set.rules().len(), 2);
    assert_eq!(
        reasons(&set),
        ["the taxonomy `acme` is not known; allowed are sigma and ecs"]
    );
}
