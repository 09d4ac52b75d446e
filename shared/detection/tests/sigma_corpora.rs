//! The published rules load, and fire on the events they were published with.

mod sigma_support;

use serde_json::Value as Json;
use sigma_support::{captures, corpora, event, load_files, output, rule_files, source};
use threatstream_detection::decode::{Format, decode};
use threatstream_detection::sigma::RuleMatch;
use threatstream_domain::Timestamp;

#[test]
fn every_published_rule_loads_but_for_reasons_of_its_own() {
    let Some(corpora) = corpora() else { return };
    let files = rule_files(&corpora.join("sigmahq-rules.tar.gz"));
    let set = load_files(&files);
    eprintln!(
        "{} files, {} rules loaded, {} set aside",
        files.len(),
        set.rules().len(),
        set.set_aside().len()
    );
    for aside in set.set_aside() {
        eprintln!("  {}: {}", aside.file, aside.reason);
        assert!(
            aside.reason.contains("placeholders"),
            "{}: {}",
            aside.file,
            aside.reason
        );
    }
    assert_eq!(set.rules().len() + set.set_aside().len(), files.len());
    assert!(files.len() > 3_000);
}

#[test]
fn published_events_fire_their_rules() {
    let Some(corpora) = corpora() else { return };
    let mut files = rule_files(&corpora.join("sigmahq-rules.tar.gz"));
    files.extend(rule_files(&corpora.join("sigma-regression/rules.tar.gz")));
    let set = load_files(&files);
    let lines = output(
        "gzip",
        &[
            "-dc",
            corpora.join("sigma-regression/events.jsonl.gz").to_str().unwrap(),
        ],
    );
    let (mut certain, mut missed) = (0, Vec::new());
    for line in String::from_utf8(lines).unwrap().lines() {
        let record: Json = serde_json::from_str(line).unwrap();
        let expected = &record["expected"];
        let logsource = &expected["logsource"];
        let logsource = source(
            logsource["category"].as_str(),
            logsource["product"].as_str(),
            logsource["service"].as_str(),
        );
        let raw = record["event"].to_string();
        let event = event(&raw, &record["event"], logsource);
        let found: Vec<_> = set.matches(&event).iter().map(|found| found.rule.id.clone()).collect();
        let unfiltered: Vec<_> = set
            .matches_unfiltered(&event)
            .iter()
            .map(|found| found.rule.id.clone())
            .collect();
        assert_eq!(found, unfiltered);
        assert!(found.is_empty() || set.might_match(raw.as_bytes()));
        if expected["match"] == Json::Bool(true) {
            certain += 1;
            for id in expected["rule_ids"].as_array().unwrap() {
                if found.iter().filter(|own| *own == id.as_str().unwrap()).count() != 1 {
                    missed.push(format!("{id} {}", record["id"]));
                }
            }
        }
    }
    assert!(certain > 100, "{certain}");
    assert_eq!(missed, Vec::<String>::new());
}

/// Every form in which the published events come is decoded to the fields and the log source that their rules ask for.
#[test]
fn published_events_fire_their_rules_from_their_bytes() {
    let Some(corpora) = corpora() else { return };
    let mut files = rule_files(&corpora.join("sigmahq-rules.tar.gz"));
    files.extend(rule_files(&corpora.join("sigma-regression/rules.tar.gz")));
    let set = load_files(&files);
    let archive = corpora.join("sigma-regression/events.jsonl.gz");
    let lines = String::from_utf8(output("gzip", &["-dc", archive.to_str().unwrap()])).unwrap();
    let (mut certain, mut missed) = (0, Vec::new());
    for record in lines.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()) {
        if record["expected"]["match"] != Json::Bool(true) {
            continue;
        }
        for form in ["event", "raw_event"] {
            let raw = record[form].to_string();
            let event = decode(&raw, Format::Auto, Timestamp::from_secs(1_795_338_000));
            assert_eq!(event.format, "windows", "{raw}");
            let found: Vec<_> = set.matches(&event).iter().map(|found| found.rule.id.clone()).collect();
            assert!(set.might_match(raw.as_bytes()));
            for id in record["expected"]["rule_ids"].as_array().unwrap() {
                certain += 1;
                if found.iter().filter(|own| *own == id.as_str().unwrap()).count() != 1 {
                    missed.push(format!("{id} {form} {}", record["id"]));
                }
            }
        }
    }
    assert!(certain > 200, "{certain}");
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn the_prefilters_lose_no_match_of_the_captures() {
    let Some(corpora) = corpora() else { return };
    let files = rule_files(&corpora.join("sigmahq-rules.tar.gz"));
    let set = load_files(&files);
    let lines = captures(&corpora);
    let (mut events, mut matches) = (0, 0);
    for raw in lines.lines() {
        let event = decode(raw, Format::Auto, Timestamp::from_secs(1_795_338_000));
        if event.format != "windows" {
            continue;
        }
        let ids = |found: Vec<RuleMatch<'_>>| found.iter().map(|found| found.rule.id.clone()).collect::<Vec<_>>();
        let found = ids(set.matches(&event));
        assert_eq!(found, ids(set.matches_unfiltered(&event)), "{raw}");
        assert!(found.is_empty() || set.might_match(raw.as_bytes()), "{raw}");
        events += 1;
        matches += found.len();
    }
    eprintln!("{events} events, {matches} matches");
    assert!(events > 100_000 && matches > 1_000);
}
