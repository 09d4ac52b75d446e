//! What the deployment sets, makes and grants, against what the code reads and uses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use threatstream_backend::{DRAIN_QUEUE, RESPOND_QUEUE, SIMULATE_QUEUE, Topics};
use threatstream_platform::{Needs, PlatformConfig, mark_key};
use threatstream_runtime::{Environment, Reader, ServeConfig, telemetry};

const GIVEN: &str = include_str!("../../../../infra/environment.json");
const KAFKA: &str = include_str!("../../../../infra/confluent.tf");
const PUBSUB: &str = include_str!("../../../../infra/messaging.tf");
const SCHEDULE: &str = include_str!("../../../../infra/schedule.tf");
const BUILD: &str = include_str!("../../../../cloudbuild.yaml");
const DEPLOY: &str = include_str!("../../../../infra/deploy");
const MONITORING: &str = include_str!("../../../../infra/monitoring.tf");
const BAKE: &str = include_str!("../../../../infra/docker-bake.hcl");

/// Read, and rightly left alone by the deployment.
const LEFT: &[(&str, &str)] = &[
    ("API_HOST", "0.0.0.0 on Cloud Run"),
    ("PORT", "given by Cloud Run"),
    ("K_SERVICE", "given by Cloud Run"),
    ("NO_COLOR", "of terminals"),
    (
        "CONFLUENT_BOOTSTRAP_SERVERS",
        "where the function has to do with the log",
    ),
    ("CONFLUENT_API_KEY", "where the function has to do with the log"),
    ("CONFLUENT_API_SECRET", "where the function has to do with the log"),
    ("KAFKA_ALERTS_TOPIC", "where the function has to do with the log"),
    ("KAFKA_ANALYZED_TOPIC", "where the function has to do with the log"),
    ("KAFKA_METRICS_TOPIC", "where the function has to do with the log"),
    ("KAFKA_DEAD_LETTER_TOPIC", "where the function has to do with the log"),
    ("PUSH_AUDIENCE", "where the function is pushed to"),
    ("PUSH_SERVICE_ACCOUNTS", "where the function is pushed to"),
    ("DEBUG", "the default serves"),
    ("LOG_LEVEL", "the default serves"),
    ("EVENT_LOG", "follows from CONFLUENT_BOOTSTRAP_SERVERS"),
    ("STORE", "follows from GOOGLE_CLOUD_PROJECT"),
    ("TASK_QUEUE", "follows from GOOGLE_CLOUD_PROJECT"),
    ("GEMINI_API_KEY", "with Vertex AI there is none"),
    ("GEMINI_VERTEX", "with a key it is off"),
    ("GCP_REGION", "of Vertex AI"),
    ("GEMINI_BASE_URL", "the default serves"),
    ("GCE_METADATA_HOST", "for tests"),
    ("FIRESTORE_EMULATOR_HOST", "for tests"),
    ("PUBSUB_EMULATOR_HOST", "for tests"),
    ("THREATSTREAM_DATA", "of the embedded backends"),
    ("KAFKA_FETCH_WAIT", "the default serves"),
    ("LOG_PARTITIONS", "of the embedded backends"),
    ("LOG_MAX_BYTES", "of the embedded backends"),
    ("LOG_RETENTION", "of the embedded backends"),
    ("MAX_IN_FLIGHT", "Cloud Run's concurrency is the limit"),
    ("RATE_LIMIT_REQUESTS", "the default serves"),
    ("RATE_LIMIT_WINDOW", "the default serves"),
    ("REQUEST_TIMEOUT", "the default serves all but the analyzer"),
    ("CORS_ORIGINS", "of the api and the relay"),
    ("TICKET_KEY", "of the api and the relay"),
    ("BUILTIN_RULES", "the default serves"),
    ("RULES_RELOAD_INTERVAL", "the rules of an image do not change"),
    ("RULES_DIR", "the image holds no rules but the built-in ones"),
    ("PLAYBOOKS_DIR", "the image holds no playbooks but the built-in ones"),
    ("NEVER_BLOCK", "the default serves"),
    ("WS_HEARTBEAT_INTERVAL", "the default serves"),
    ("SIMULATION_ENABLED", "the default serves"),
    ("SIMULATION_MAX_EPS", "the default serves"),
    ("WORKERS", "follows from Cloud Run"),
];

/// An environment that remembers what it was asked for.
struct Recording {
    values: HashMap<String, String>,
    asked: Mutex<BTreeSet<String>>,
}

impl Environment for Recording {
    fn get(&self, name: &str) -> Option<String> {
        self.asked.lock().unwrap().insert(name.to_owned());
        self.values.get(name).cloned()
    }
}

/// What a function reads at its start, with what the deployment gives it.
fn reads(function: &str, given: &BTreeSet<String>) -> BTreeSet<String> {
    let value = |name: &String| match name.as_str() {
        "AUTH_MODE" => "iam",
        "LOG_FORMAT" => "stackdriver",
        "ANALYZER_MODE" => "drain",
        "REQUEST_TIMEOUT" => "60s",
        "WS_MAX_CONNECTIONS" => "900",
        "WEBHOOK_URL" | "API_URL" | "RELAY_URL" | "CORS_ORIGINS" | "PUSH_AUDIENCE" => "https://example.com",
        "PUSH_SERVICE_ACCOUNTS" => "push@example.iam.gserviceaccount.com",
        _ => "abcdefghijklmnopqrstuvwxyz0123456789",
    };
    let mut values: HashMap<String, String> = given
        .iter()
        .map(|name| (name.clone(), value(name).to_owned()))
        .collect();
    if function != "analyzer-worker" {
        values.insert("K_SERVICE".to_owned(), function.to_owned());
    }
    let environment = Recording {
        values,
        asked: Mutex::default(),
    };
    // What is wrong with a value does not matter here: everything is read before anything is refused.
    telemetry::LogConfig::from_env(&environment).ok();
    ServeConfig::from_env(&environment).ok();
    let needs = if function == "relay" { Needs::STORE } else { Needs::ALL };
    PlatformConfig::of_function(&environment, needs).ok();
    let mut reader = Reader::new(&environment);
    match function {
        "api" | "api-vertex" => drop(threatstream_api::Config::from_env(&environment)),
        "analyzer" | "analyzer-worker" => {
            threatstream_analyzer::Config::from_env(&environment).ok();
            mark_key(&mut reader);
            let _ = threatstream_analyzer::rules::RulesConfig::from_env(&mut reader);
        }
        "simulator" => {
            threatstream_simulator::Config::from_env(&environment).ok();
            mark_key(&mut reader);
        }
        "responder" => drop(threatstream_responder::Config::from_env(&environment)),
        "relay" => drop(threatstream_relay::Config::from_env(&mut reader)),
        _ => panic!("{function} is no function"),
    }
    environment.asked.into_inner().unwrap()
}

#[test]
fn every_variable_is_set_and_read() {
    let given: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(GIVEN).unwrap();
    assert_eq!(
        given.len(),
        7,
        "five functions, the analyzer as a worker pool, the api with Vertex AI in place of a key"
    );
    let mut problems = Vec::new();
    let mut read_by_any = BTreeSet::new();
    for (function, given) in &given {
        let read = reads(function, given);
        for name in given.difference(&read) {
            problems.push(format!("{function} is given {name}, and does not read it"));
        }
        for name in read.difference(given) {
            if !LEFT.iter().any(|(left, _)| left == name) {
                problems.push(format!("{function} reads {name}, and is not given it"));
            }
        }
        read_by_any.extend(read);
    }
    for (name, _) in LEFT {
        if !read_by_any.contains(*name) {
            problems.push(format!("{name} is left alone, and nobody reads it"));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// The quoted value of `name = "…"` on a line of its own.
fn quoted<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| value.trim().trim_matches('"'))
    })
}

#[test]
fn the_topics_are_those_of_the_code() {
    let topics = Topics::default();
    for (name, topic) in [
        ("raw", &topics.raw),
        ("matches", &topics.matches),
        ("analyzed", &topics.analyzed),
        ("alerts", &topics.alerts),
        ("metrics", &topics.metrics),
        ("dead_letters", &topics.dead_letters),
    ] {
        assert_eq!(quoted(KAFKA, name), Some(topic.as_str()), "{name}");
    }
}

#[test]
fn the_queues_are_those_of_the_code() {
    for queue in [RESPOND_QUEUE, SIMULATE_QUEUE, DRAIN_QUEUE] {
        assert!(PUBSUB.contains(&format!("    {queue} = {{")), "{queue}");
    }
    for route in ["/tasks/respond", "/tasks/simulate", "/drain", "/api/ingest/pubsub"] {
        assert!(PUBSUB.contains(&format!("{route}\"")), "nothing is pushed to {route}");
    }
    for route in ["/drain", "/tasks/sweep", "/tick"] {
        assert!(SCHEDULE.contains(&format!("{route}\"")), "nothing calls {route}");
    }
}

#[test]
fn what_the_build_sets_is_read() {
    for variable in ["DEPLOY_STEPS", "DEPLOY_PAUSE"] {
        assert!(
            BUILD.contains(&format!("- {variable}=")) && DEPLOY.contains(&format!("${{{variable}:-")),
            "{variable}"
        );
    }
    for variable in ["REGISTRY", "TAG", "CACHE"] {
        assert!(
            BUILD.contains(&format!("- {variable}=")) && BAKE.contains(&format!("variable \"{variable}\"")),
            "{variable}"
        );
    }
    // Each substitution is used, and each that is used is there: Cloud Build refuses others.
    let defined: BTreeSet<&str> = BUILD
        .lines()
        .filter_map(|line| line.strip_prefix("  _").and_then(|rest| rest.split_once(':')))
        .map(|(name, _)| name)
        .collect();
    let used: BTreeSet<&str> = BUILD
        .split("${_")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(defined, used);
    assert!(
        !BUILD.contains("name: docker.io") && !BUILD.contains("name: gcr.io"),
        "images are pinned in the substitutions"
    );
}

/// The calls of tracing's macros in the functions' sources, tests left out.
fn logged() -> Vec<String> {
    let functions = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<PathBuf> = fs::read_dir(functions)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"))
        .filter(|folder| folder.is_dir())
        .collect();
    let mut calls = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let source = fs::read_to_string(&path).unwrap();
                let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                for start in ["info!(", "warn!(", "error!("] {
                    let starts = source.split(start).skip(1);
                    calls.extend(
                        starts
                            .filter_map(|rest| rest.split_once(");"))
                            .map(|(call, _)| call.to_owned()),
                    );
                }
            }
        }
    }
    calls
}

/// What stands between `before` and `after`, as often as it does.
fn between<'t>(text: &'t str, before: &str, after: &str) -> Vec<&'t str> {
    let parts = text.split(before).skip(1);
    parts
        .filter_map(|part| part.split_once(after))
        .map(|(found, _)| found)
        .collect()
}

/// A field as the lines of Cloud Logging name it.
fn camel(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at(1);
        name + &head.to_uppercase() + tail
    })
}

/// What makes a metric out of log lines names lines that the code writes, and fields that they have.
#[test]
fn the_lines_that_monitoring_reads_are_written() {
    let calls = logged();
    let texts = between(MONITORING, "text        = \"", "\"");
    assert_eq!(texts.len(), 6, "four counted lines, and two measured ones: {texts:?}");
    for text in &texts {
        assert!(calls.iter().any(|call| call.contains(text)), "nobody logs '{text}'");
    }
    let measured = between(MONITORING, "measured_lines = {", "\n  }\n").concat();
    let texts = between(&measured, "text        = \"", "\"");
    let fields = between(&measured, "field       = \"", "\"");
    assert_eq!((texts.len(), fields.len()), (2, 2));
    for (text, field) in texts.into_iter().zip(fields) {
        let call = calls.iter().find(|call| call.contains(text)).unwrap();
        let names = call.split([',', '\n']).filter_map(|part| part.split('=').next());
        let has = names
            .map(|name| camel(name.trim().trim_start_matches(['%', '?'])))
            .any(|name| name == field);
        assert!(has, "'{text}' has no field {field}: {call}");
    }
}
