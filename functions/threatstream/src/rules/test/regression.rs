//! Tests in SigmaHQ's form: a rule's `regression_tests_path` names an `info.yml`, which names files of events.
//!
//! Events in `.evtx` files are read from the JSON of the same name beside them, where there is one. A log source is not
//! compared: SigmaHQ's own runner asks of JSON events nothing but the detection.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use threatstream_detection::decode::{Format, decode};
use threatstream_detection::sigma::{Holds as _, Rule, RuleSet};
use threatstream_detection::yaml_to_json;
use threatstream_domain::Timestamp;

use super::{Outcome, Status};
use crate::scan::input;

/// What an `info.yml` says of a rule's tests.
#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    rule_metadata: Vec<Metadata>,
    regression_tests_info: Vec<Test>,
}

#[derive(Deserialize)]
struct Metadata {
    id: String,
}

#[derive(Deserialize)]
struct Test {
    #[serde(default)]
    name: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    path: String,
    /// At least so many events match; without it, one.
    #[serde(default)]
    match_count: Option<u64>,
    #[serde(default)]
    pipelines: Vec<String>,
    #[serde(default)]
    filters: Vec<String>,
}

/// Runs the tests that a rule file names; none when it names none.
pub(super) fn run(file: &str, text: &str, rules: &RuleSet) -> anyhow::Result<Vec<Outcome>> {
    if !text.contains("regression_tests_path") {
        return Ok(Vec::new());
    }
    // A document that cannot be read is told by `rules check`.
    let Ok(document) = yaml_to_json(text) else {
        return Ok(Vec::new());
    };
    let attribute = |name: &str| document.get(name).and_then(Value::as_str);
    let Some(path) = attribute("regression_tests_path") else {
        return Ok(Vec::new());
    };
    let title = attribute("title").unwrap_or_default();
    let outcome = |file: &str, test: &str, status, detail: String| Outcome {
        status,
        file: file.to_owned(),
        rule: title.to_owned(),
        test: test.to_owned(),
        detail,
    };
    let failed = |detail: String| Ok(vec![outcome(file, "", Status::Failed, detail)]);
    let Some(found) = beneath(Path::new(file), path) else {
        return failed(format!("regression_tests_path: there is no file {path}"));
    };
    let id = attribute("id").unwrap_or_default();
    let Some(rule) = rules.rule(id) else {
        return failed("the rule is not loaded; `rules check` says why".to_owned());
    };
    let info: Info = match std::fs::read_to_string(&found)
        .map_err(|error| error.to_string())
        .and_then(|text| yaml_to_json(&text))
        .and_then(|json| serde_json::from_value(json).map_err(|error| error.to_string()))
    {
        Ok(info) => info,
        Err(reason) => return failed(format!("{path}: {reason}")),
    };
    if !info.rule_metadata.is_empty() && info.rule_metadata.iter().all(|own| own.id != id) {
        return failed(format!("{path}: is about another rule"));
    }
    let of_info = found.to_string_lossy();
    let tests = info.regression_tests_info.iter().map(|test| {
        let name = test.name.clone().unwrap_or_else(|| test.kind.clone());
        let (status, detail) = one(test, &found, rule, rules);
        outcome(&of_info, &name, status, detail)
    });
    Ok(tests.collect())
}

fn one(test: &Test, info: &Path, rule: &Rule, rules: &RuleSet) -> (Status, String) {
    if !test.filters.is_empty() || !test.pipelines.is_empty() {
        let reason = "it needs a pipeline or filter of Sigma's converter, which renames what the rule says";
        return (Status::LeftOut, reason.to_owned());
    }
    let named = beneath(info, &test.path);
    let events = match (test.kind.as_str(), named) {
        ("evtx", named) => {
            let json = named
                .or_else(|| info.parent().map(|folder| folder.join(file_name(&test.path))))
                .map(|path| path.with_extension("json"))
                .filter(|path| path.is_file());
            match json {
                Some(json) => json,
                None => {
                    return (
                        Status::LeftOut,
                        ".evtx alone, which is not read, and no .json beside it".to_owned(),
                    );
                }
            }
        }
        ("json" | "ndjson" | "jsonl", Some(path)) => path,
        ("json" | "ndjson" | "jsonl", None) => return (Status::Failed, format!("there is no file {}", test.path)),
        (other, _) => return (Status::LeftOut, format!("tests of type `{other}` are not known")),
    };
    let (mut read, mut matched, mut foreign) = (0u64, 0u64, 0u64);
    let counted = input::read(&events, &mut |event| {
        let Some(raw) = event.raw else { return Ok(()) };
        let event = decode(&raw, Format::Auto, Timestamp::EPOCH);
        let explanation = rules.explain(rule, &event);
        read += 1;
        matched += u64::from(explanation.condition.holds());
        foreign += u64::from(explanation.condition.holds() && !explanation.matched);
        Ok(())
    });
    if let Err(error) = counted {
        return (Status::Failed, format!("{error:#}"));
    }
    let wanted = test.match_count.unwrap_or(1);
    let mut detail = format!("{matched} of {read} events match");
    if matched < wanted {
        return (Status::Failed, format!("{detail} instead of {wanted}"));
    }
    if test.match_count.is_some_and(|wanted| matched > wanted) {
        detail.push_str(&format!(", more than the {wanted} that are named"));
    }
    if foreign > 0 {
        detail.push_str("; log source not compared");
    }
    (Status::Passed, detail)
}

/// A file by a path that is relative to it, or to any folder above: SigmaHQ's are relative to the repository.
fn beneath(from: &Path, path: &str) -> Option<PathBuf> {
    let from = from.canonicalize().ok()?;
    let mut folders = from.ancestors().skip(1);
    folders.find_map(|folder| Some(folder.join(path)).filter(|found| found.is_file()))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
