use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Option<GeminiConfig>, ConfigErrors> {
    let environment: HashMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    GeminiConfig::from_env(&environment)
}

fn configured(variables: &[(&str, &str)]) -> GeminiConfig {
    read(variables).unwrap().unwrap()
}

fn refused(variables: &[(&str, &str)]) -> Vec<String> {
    let errors = read(variables).unwrap_err();
    errors
        .problems()
        .iter()
        .map(|problem| problem.variable.clone())
        .collect()
}

const KEY: (&str, &str) = ("GEMINI_API_KEY", "AIza-hush-hush");
const VERTEX: (&str, &str) = ("GEMINI_VERTEX", "true");
const PROJECT: (&str, &str) = ("GOOGLE_CLOUD_PROJECT", "example-project");

#[test]
fn neither_a_key_nor_vertex_is_off() {
    assert_eq!(read(&[]).unwrap(), None);
    assert_eq!(
        read(&[
            ("GEMINI_MODEL", "gemini-3.5-flash-lite"),
            ("GEMINI_VERTEX", "false"),
            PROJECT
        ])
        .unwrap(),
        None
    );
}

#[test]
fn a_key_asks_ai_studio() {
    let config = configured(&[KEY]);
    assert_eq!(
        config.model_url().as_str(),
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.5-flash-lite"
    );
    assert_eq!(config.place(), "AI Studio with a key");
    assert!(!format!("{config:?}").contains("hush"), "{config:?}");
}

#[test]
fn vertex_is_asked_where_the_location_is() {
    for (region, address) in [
        (None, "https://us-central1-aiplatform.googleapis.com/"),
        (Some("europe-west4"), "https://europe-west4-aiplatform.googleapis.com/"),
        (Some("eu"), "https://aiplatform.eu.rep.googleapis.com/"),
        (Some("global"), "https://aiplatform.googleapis.com/"),
    ] {
        let mut variables = vec![VERTEX, PROJECT, ("GEMINI_MODEL", "gemini-2.5-flash")];
        variables.extend(region.map(|region| ("GCP_REGION", region)));
        let config = configured(&variables);
        assert_eq!(
            config.model_url().as_str(),
            format!("{address}v1/publishers/google/models/gemini-2.5-flash")
        );
        let Access::Vertex(vertex) = &config.access else {
            panic!("{config:?}")
        };
        assert_eq!(vertex.metadata.as_str(), "http://metadata.google.internal/");
    }
    let config = configured(&[VERTEX, PROJECT, ("GCE_METADATA_HOST", "127.0.0.1:8080")]);
    assert!(format!("{config:?}").contains("8080"), "{config:?}");
    assert_eq!(
        config.place(),
        "Vertex AI in project example-project, location us-central1"
    );
}

#[test]
fn both_are_refused_naming_both() {
    assert_eq!(refused(&[KEY, VERTEX, PROJECT]), ["GEMINI_API_KEY", "GEMINI_VERTEX"]);
}

#[test]
fn everything_wrong_is_named_at_once_and_no_key_is_repeated() {
    let wrong = [
        ("GEMINI_API_KEY", "hush hush"),
        ("GEMINI_VERTEX", "perhaps"),
        ("GEMINI_MODEL", "../tuned"),
        ("GEMINI_BASE_URL", "https://user:hush@example.com"),
    ];
    assert_eq!(
        refused(&wrong),
        ["GEMINI_API_KEY", "GEMINI_VERTEX", "GEMINI_MODEL", "GEMINI_BASE_URL"]
    );
    assert!(!read(&wrong).unwrap_err().to_string().contains("hush"));
    assert_eq!(
        refused(&[VERTEX, ("GCP_REGION", "US.evil/"), ("GCE_METADATA_HOST", "a/b")]),
        ["GOOGLE_CLOUD_PROJECT", "GCP_REGION", "GCE_METADATA_HOST"]
    );
}

#[test]
fn an_address_of_ones_own_keeps_its_path_and_its_tls() {
    let at = |url| configured(&[KEY, ("GEMINI_BASE_URL", url)]);
    assert_eq!(
        at("https://proxy.example.com/gemini").model_url().as_str(),
        "https://proxy.example.com/gemini/v1beta/models/gemini-3.5-flash-lite"
    );
    assert_eq!(
        at("https://proxy.example.com").place(),
        "AI Studio with a key, at https://proxy.example.com/"
    );
    for loopback in ["http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9/"] {
        assert_eq!(at(loopback).base_url.scheme(), "http");
    }
    for wrong in [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "ftp://x",
        "gemini",
        "https://x/?key=1",
        "https://x/#a",
    ] {
        assert_eq!(
            refused(&[KEY, ("GEMINI_BASE_URL", wrong)]),
            ["GEMINI_BASE_URL"],
            "{wrong}"
        );
    }
}

proptest! {
    /// Whatever a model is called, the request stays under the base address, in one segment.
    #[test]
    fn no_name_leads_elsewhere(name in "\\PC{1,40}|[a-z./@_%-]{1,20}") {
        if let Ok(Some(config)) = read(&[KEY, ("GEMINI_MODEL", &name), ("GEMINI_BASE_URL", "https://x.example/y")]) {
            let url = config.model_url();
            prop_assert_eq!(url.host_str(), Some("x.example"));
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 4);
            prop_assert_eq!(&segments[..3], &["y", "v1beta", "models"][..]);
            prop_assert!(url.query().is_none() && url.fragment().is_none());
        }
    }

    /// No region and no metadata host makes a token go to a host that is not Google's.
    #[test]
    fn no_region_leads_elsewhere(region in "\\PC{1,40}|[a-z0-9./@:#-]{1,20}") {
        if let Ok(Some(config)) = read(&[VERTEX, PROJECT, ("GCP_REGION", &region)]) {
            let url = config.model_url();
            prop_assert!(url.host_str().unwrap().ends_with("aiplatform.googleapis.com") || ["us", "eu"].contains(&region.trim()), "{}", url);
        }
    }
}
