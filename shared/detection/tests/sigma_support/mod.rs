//! Events made of JSON, rule sets made of text, and the corpora.
#![expect(dead_code, reason = "each test takes what it needs")]

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value as Json;
use threatstream_detection::sigma::{Holds as _, RuleSet};
use threatstream_detection::{Event, Fields, LogSource, Value};

/// The public corpora, where there are any.
pub(crate) fn corpora() -> Option<PathBuf> {
    let found = std::env::var_os("THREATSTREAM_CORPORA").map(PathBuf::from);
    if found.is_none() {
        eprintln!("skipped: THREATSTREAM_CORPORA is not set");
    }
    found
}

pub(crate) fn load(texts: &[&str]) -> RuleSet {
    let name = |index: usize| Cow::from(format!("{index}.yml"));
    RuleSet::load(
        texts
            .iter()
            .enumerate()
            .map(|(index, text)| (name(index), Cow::from(*text))),
    )
}

/// A rule of these search identifiers (indented by four) and this condition.
pub(crate) fn rule(searches: &str, condition: &str) -> String {
    let searches = searches.replace('\n', "\n    ");
    format!("title: t\nid: r\nlogsource: {{ product: test }}\ndetection:\n    {searches}\n    condition: {condition}\n")
}

pub(crate) fn source(category: Option<&str>, product: Option<&str>, service: Option<&str>) -> LogSource {
    let own = |part: Option<&str>| part.map(|part| Cow::Owned(part.to_owned()));
    LogSource {
        category: own(category),
        product: own(product),
        service: own(service),
    }
}

pub(crate) fn value(json: &Json) -> Value<'_> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(own) => Value::Bool(*own),
        Json::Number(own) => own
            .as_i64()
            .map_or_else(|| Value::Float(own.as_f64().unwrap_or(f64::NAN)), Value::Int),
        Json::String(own) => Value::str(own),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(_) => Value::Map(fields(json)),
    }
}

pub(crate) fn fields(json: &Json) -> Fields<'_> {
    let entries = json.as_object().into_iter().flatten();
    Fields(
        entries
            .map(|(name, own)| (Cow::from(name.as_str()), value(own)))
            .collect(),
    )
}

pub(crate) fn event<'a>(raw: &'a str, json: &'a Json, logsource: LogSource) -> Event<'a> {
    Event {
        format: "json",
        logsource,
        also: &[],
        raw,
        time: None,
        vendor_id: None,
        original: fields(json),
        ecs: Fields::default(),
    }
}

/// The ids of the rules that match an event of product `test`, with and without the prefilters, which must agree.
pub(crate) fn matching(set: &RuleSet, raw: &str) -> Vec<String> {
    let json: Json = serde_json::from_str(raw).unwrap_or(Json::Null);
    let event = event(raw, &json, source(None, Some("test"), None));
    let ids = |found: Vec<threatstream_detection::sigma::RuleMatch<'_>>| {
        found.into_iter().map(|found| found.rule.id.clone()).collect::<Vec<_>>()
    };
    let found = ids(set.matches(&event));
    assert_eq!(
        found,
        ids(set.matches_unfiltered(&event)),
        "the prefilter over values loses a match of {raw}"
    );
    assert!(
        found.is_empty() || set.might_match(raw.as_bytes()),
        "the prefilter over bytes loses a match of {raw}"
    );
    for rule in set.rules() {
        let explanation = set.explain(rule, &event);
        assert_eq!(
            explanation.matched,
            found.contains(&rule.id),
            "{} is explained otherwise than matched: {raw}",
            rule.id
        );
        assert_eq!(explanation.failures().is_empty(), explanation.condition.holds());
    }
    found
}

/// What a command prints: the corpora are archives, and the tools that read them are everywhere.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The rule files of an archive, as `(path, text)`.
pub(crate) fn rule_files(archive: &std::path::Path) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    output(
        "tar",
        &["xzf", archive.to_str().unwrap(), "-C", folder.path().to_str().unwrap()],
    );
    let mut files = Vec::new();
    let mut open = vec![folder.path().to_path_buf()];
    while let Some(folder_or_file) = open.pop() {
        if folder_or_file.is_dir() {
            open.extend(
                std::fs::read_dir(&folder_or_file)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if folder_or_file.extension().is_some_and(|extension| extension == "yml") {
            let name = folder_or_file
                .strip_prefix(folder.path())
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            files.push((name, std::fs::read_to_string(&folder_or_file).unwrap()));
        }
    }
    files.sort();
    files
}

pub(crate) fn load_files(files: &[(String, String)]) -> RuleSet {
    RuleSet::load(
        files
            .iter()
            .map(|(name, text)| (Cow::from(name.as_str()), Cow::from(text.as_str()))),
    )
}

/// The lines of the Windows captures.
pub(crate) fn captures(corpora: &std::path::Path) -> String {
    let mut archives: Vec<_> = std::fs::read_dir(corpora.join("windows"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "zip"))
        .collect();
    archives.sort();
    let mut lines = String::new();
    for archive in archives {
        lines.push_str(&String::from_utf8_lossy(&output(
            "unzip",
            &["-p", archive.to_str().unwrap()],
        )));
        lines.push('\n');
    }
    lines
}
