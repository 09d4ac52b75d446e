//! What the environment says, and what the product makes of it.

use std::collections::BTreeSet;

use super::harness::{Platform, client, command, get};

const EXAMPLE: &str = include_str!("../../../../.env.example");

/// The names in the example, those commented out included.
fn names() -> BTreeSet<&'static str> {
    EXAMPLE
        .lines()
        .filter_map(|line| line.strip_prefix("# ").unwrap_or(line).split_once('='))
        .map(|(name, _)| name)
        .filter(|name| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_is_a_configuration_that_starts() {
    let data = tempfile::tempdir().expect("a folder");
    std::fs::write(data.path().join(".env"), EXAMPLE).expect("written");
    // The test's own folder and port stand over the file's.
    let platform = Platform::start(data.path(), &[]);
    let health = get(&client(), &platform.base, "/api/health").await;
    assert_eq!(health["status"], "healthy", "{health}");
    assert!(names().len() > 30, "{:?}", names());
}

#[test]
fn every_problem_is_named_at_once() {
    let data = tempfile::tempdir().expect("a folder");
    let output = command()
        .current_dir(data.path())
        .env("API_HOST", "0.0.0.0")
        .env("PORT", "99999999")
        .env("EVENT_LOG", "rabbitmq")
        .env("SIMULATION_MAX_EPS", "many")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stderr);
    for variable in ["AUTH_MODE", "PORT", "EVENT_LOG", "SIMULATION_MAX_EPS"] {
        assert!(text.contains(variable), "{variable} in {text}");
    }
    assert!(names().is_superset(&BTreeSet::from([
        "AUTH_MODE",
        "PORT",
        "EVENT_LOG",
        "SIMULATION_MAX_EPS"
    ])));
}

/// Once, with a model and without, and never with the key.
#[test]
fn whose_verdicts_they_are_is_told_at_the_start() {
    for (variables, part) in [
        (
            &[("LOG_LEVEL", "INFO")][..],
            "neither GEMINI_API_KEY nor GEMINI_VERTEX is set",
        ),
        (
            &[("LOG_LEVEL", "INFO"), ("GEMINI_API_KEY", "hush-hush")],
            "AI Studio with a key",
        ),
    ] {
        let data = tempfile::tempdir().expect("a folder");
        let platform = Platform::start(data.path(), variables);
        let told: Vec<&String> = platform
            .said
            .iter()
            .filter(|line| line.contains("verdicts are the rules' alone"))
            .collect();
        assert!(told.len() == 1 && told[0].contains(part), "{:?}", platform.said);
        assert!(
            !platform.said.iter().any(|line| line.contains("hush")),
            "{:?}",
            platform.said
        );
        platform.kill();
    }
}

#[test]
fn wrong_usage_is_3() {
    assert_eq!(
        command()
            .args(["scan", "--min-level", "WORST", "x"])
            .output()
            .expect("it runs")
            .status
            .code(),
        Some(3)
    );
    assert_eq!(
        command().arg("--help").output().expect("it runs").status.code(),
        Some(0)
    );
}
