//! Filters: by id, by name, by log source, several over one rule, and over the rules that correlations count.

mod sigma_support;

use sigma_support::{load, matching};

fn base(id: &str, more: &str) -> String {
    format!(
        "title: {id}\nid: {id}\n{more}\nlogsource: {{ product: test }}\ndetection:\n    sel:\n        f: {id}\n    condition: sel\n"
    )
}

fn filter(rules: &str, source: &str, user: &str, condition: &str) -> String {
    format!(
        "title: f\nlogsource: {{ {source} }}\nfilter:\n    rules: {rules}\n    sel:\n        user|startswith: {user}\n    condition: {condition}\n"
    )
}

fn adm(rules: &str, source: &str) -> String {
    filter(rules, source, "adm_", "not sel")
}

fn reasons(set: &threatstream_detection::sigma::RuleSet) -> Vec<&str> {
    set.set_aside().iter().map(|aside| aside.reason.as_str()).collect()
}

const A_JOE: &str = r#"{"f":"a","user":"joe"}"#;
const A_ADM: &str = r#"{"f":"a","user":"adm_joe"}"#;
const B_ADM: &str = r#"{"f":"b","user":"adm_joe"}"#;

#[test]
fn by_id_and_by_name() {
    let (a, b) = (base("a", "name: first"), base("b", ""));
    for rules in ["[a]", "[first]", "a", "[b, first]"] {
        // The filter may come in a file before its rules.
        let set = load(&[&adm(rules, "product: test"), &a, &b]);
        assert_eq!(reasons(&set), Vec::<&str>::new(), "{rules}");
        assert_eq!(matching(&set, A_JOE), ["a"], "{rules}");
        assert!(matching(&set, A_ADM).is_empty(), "{rules}");
        assert_eq!(matching(&set, B_ADM).is_empty(), rules.contains("[b"), "{rules}");
    }
}

#[test]
fn of_any_rule_of_the_log_source() {
    let (a, b) = (
        base("a", ""),
        base("b", "").replace("product: test", "product: test, service: s"),
    );
    let any = load(&[&adm("any", "product: test"), &a, &b]);
    assert!(matching(&any, A_ADM).is_empty());
    assert_eq!(matching(&any, A_JOE), ["a"]);
    let service = load(&[&adm("any", "product: test, service: s"), &a, &b]);
    assert_eq!(
        matching(&service, A_ADM),
        ["a"],
        "the rule speaks of more than the filter"
    );
}

#[test]
fn a_filter_asks_for_what_its_condition_says() {
    let set = load(&[&filter("[a]", "product: test", "adm_", "sel"), &base("a", "")]);
    assert_eq!(matching(&set, A_ADM), ["a"]);
    assert!(
        matching(&set, A_JOE).is_empty(),
        "it narrows the rule to what it selects"
    );
}

#[test]
fn several_filters_all_hold() {
    let svc = filter("[a]", "product: test", "svc_", "not sel");
    let set = load(&[&adm("[a]", "product: test"), &svc, &base("a", "")]);
    assert_eq!(matching(&set, A_JOE), ["a"]);
    assert!(matching(&set, A_ADM).is_empty());
    assert!(matching(&set, r#"{"f":"a","user":"svc_joe"}"#).is_empty());
}

#[test]
fn a_filter_that_changes_nothing_is_set_aside() {
    let a = base("a", "");
    let other = load(&[&adm("[a]", "product: other"), &a]);
    assert_eq!(reasons(&other), ["none of its rules has its log source"]);
    let unknown = load(&[&adm("[z]", "product: test"), &a]);
    assert_eq!(reasons(&unknown), ["it filters the rule `z`, which is not loaded"]);
    let none = load(&[
        "title: f\nlogsource: {}\nfilter: { sel: { f: a }, condition: sel }\n",
        &a,
    ]);
    assert_eq!(reasons(&none), ["`filter.rules`: is missing"]);
    let part = load(&[&adm("[a, z]", "product: test"), &a]);
    assert!(matching(&part, A_ADM).is_empty(), "those that are there stay filtered");
}

#[test]
fn what_a_correlation_counts_is_filtered() {
    let counting =
        "title: c\nid: c\ncorrelation: { type: event_count, rules: [a], timespan: 1m, condition: { gte: 1 } }\n";
    let set = load(&[&adm("[a]", "product: test"), counting, &base("a", "")]);
    assert_eq!(reasons(&set), Vec::<&str>::new());
    assert!(matching(&set, A_ADM).is_empty());
    let over = load(&[&adm("[c]", "product: test"), counting, &base("a", "")]);
    assert_eq!(
        reasons(&over),
        ["it filters `c`, a correlation; a filter is for the rules that it counts"]
    );
}
