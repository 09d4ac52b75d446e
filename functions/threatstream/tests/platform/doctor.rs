//! `threatstream doctor`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::harness::{Platform, command};

fn doctor_printing(folder: &Path, output: &str) -> Command {
    let mut command = command();
    command
        .current_dir(folder)
        .env("THREATSTREAM_DATA", folder.join("data"))
        .args(["doctor", "--output", output]);
    command
}

fn doctor(folder: &Path) -> Command {
    doctor_printing(folder, "json")
}

/// Each check's status, and everything that was said about it.
fn checks(output: &Output) -> BTreeMap<String, (String, String)> {
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let mut checks = BTreeMap::<String, (String, String)>::new();
    for check in report["checks"].as_array().expect("a list") {
        let entry = checks
            .entry(check["check"].as_str().expect("a name").to_owned())
            .or_default();
        check["status"].as_str().expect("a status").clone_into(&mut entry.0);
        entry.1.push_str(&check.to_string());
    }
    checks
}

#[test]
fn a_machine_on_its_own_is_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = doctor(folder.path()).output().expect("it runs");
    let checks = checks(&output);
    assert_eq!(output.status.code(), Some(0), "{checks:?}");
    for check in [
        "configuration",
        "event_log",
        "topics",
        "store",
        "task_queue",
        "rules",
        "playbooks",
        "authentication",
        "simulations",
    ] {
        assert_eq!(checks[check].0, "ok", "{checks:?}");
    }
    for check in ["webhook", "gemini"] {
        assert_eq!(checks[check].0, "left_out", "{checks:?}");
    }
    assert!(checks["topics"].1.contains("security.raw.logs 4"), "{checks:?}");
    // The table says the same.
    let output = doctor_printing(folder.path(), "table").output().expect("it runs");
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && table.contains("event_log") && table.contains("left out"),
        "{table}"
    );
}

#[test]
fn everything_that_is_wrong_is_told_and_no_secret_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = doctor(folder.path())
        .env("PORT", "many")
        .env("WEBHOOK_URL", "ftp://hush-hush.example")
        .env("WEBHOOK_SECRET", "hush-hush")
        .env("SIMULATION_KEY", "hush-hush")
        .env("CONFLUENT_API_SECRET", "hush-hush")
        .env("EVENT_LOG", "embedded")
        .env("RULES_DIR", "/no/such/rules")
        .output()
        .expect("it runs");
    let checks = checks(&output);
    assert_eq!(output.status.code(), Some(3), "{checks:?}");
    let (status, said) = &checks["configuration"];
    assert_eq!(status, "failed");
    assert!(said.contains("PORT") && said.contains("WEBHOOK_URL"), "{said}");
    assert_eq!(
        (checks["rules"].0.as_str(), checks["store"].0.as_str()),
        ("failed", "ok"),
        "{checks:?}"
    );
    assert!(checks["rules"].1.contains("/no/such/rules"), "{checks:?}");
    let all = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&all).contains("hush-hush"));
}

#[test]
fn backends_that_are_asked_for_and_not_there_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = doctor(folder.path())
        .env("EVENT_LOG", "kafka")
        .env("STORE", "firestore")
        .output()
        .expect("it runs");
    let checks = checks(&output);
    assert_eq!(output.status.code(), Some(3), "{checks:?}");
    for variable in ["CONFLUENT_BOOTSTRAP_SERVERS", "GOOGLE_CLOUD_PROJECT"] {
        assert!(checks["configuration"].1.contains(variable), "{checks:?}");
    }
    assert_eq!(checks["event_log"].0, "left_out");
}

#[test]
fn a_folder_that_a_running_platform_holds_is_left_to_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(folder.path(), &[]);
    let output = doctor(folder.path())
        .env("THREATSTREAM_DATA", folder.path())
        .output()
        .expect("it runs");
    let checks = checks(&output);
    assert_eq!(
        (output.status.code(), checks["store"].0.as_str()),
        (Some(0), "left_out"),
        "{checks:?}"
    );
    assert!(checks["store"].1.contains("/api/health"), "{checks:?}");
    platform.kill();
}

/// Nothing listens there.
#[cfg(feature = "cloud")]
#[test]
fn what_does_not_answer_has_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let nobody = "127.0.0.1:1";
    let output = doctor(folder.path())
        .env("CONFLUENT_BOOTSTRAP_SERVERS", nobody)
        .env("GOOGLE_CLOUD_PROJECT", "test")
        .env("FIRESTORE_EMULATOR_HOST", nobody)
        .env("PUBSUB_EMULATOR_HOST", nobody)
        .output()
        .expect("it runs");
    let checks = checks(&output);
    assert_eq!(output.status.code(), Some(3), "{checks:?}");
    for check in ["event_log", "topics", "store", "task_queue"] {
        assert_eq!(checks[check].0, "failed", "{checks:?}");
    }
    assert_eq!(checks["configuration"].0, "ok", "{checks:?}");
}

/// AI Studio as far as the doctor asks for it: a model at one name, a refusal for one key.
async fn studio() -> String {
    use axum::http::{HeaderMap, StatusCode};
    let model = async |headers: HeaderMap| match headers.get("x-goog-api-key").map(|key| key.as_bytes()) {
        Some(b"hush-hush") => (
            StatusCode::OK,
            r#"{"name": "models/gemini-3.5-flash-lite", "inputTokenLimit": 1048576, "outputTokenLimit": 65536}"#,
        ),
        _ => (
            StatusCode::FORBIDDEN,
            r#"{"error": {"code": 403, "message": "Consumer 'api_key:old-hush-hush' has been suspended.", "status": "PERMISSION_DENIED"}}"#,
        ),
    };
    let router = axum::Router::new().route("/v1beta/models/gemini-3.5-flash-lite", axum::routing::get(model));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_is_asked_whether_it_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let studio = studio().await;
    let asked = |variables: &[(&str, &str)]| {
        let output = doctor(folder.path())
            .env("GEMINI_BASE_URL", &studio)
            .envs(variables.iter().copied())
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains("hush"), "{text}");
        let (status, said) = checks(&output)["gemini"].clone();
        (output.status.code(), status, said)
    };
    let (code, status, said) = asked(&[("GEMINI_API_KEY", "hush-hush")]);
    assert_eq!((code, status.as_str()), (Some(0), "ok"), "{said}");
    assert!(
        said.contains("models/gemini-3.5-flash-lite") && said.contains("1048576"),
        "{said}"
    );

    let (code, status, said) = asked(&[("GEMINI_API_KEY", "old-hush-hush")]);
    assert_eq!((code, status.as_str()), (Some(3), "failed"), "{said}");
    assert!(
        said.contains("PERMISSION_DENIED") && said.contains("still valid"),
        "{said}"
    );

    let (_, status, said) = asked(&[("GEMINI_API_KEY", "hush-hush"), ("GEMINI_MODEL", "gemini-1")]);
    assert!(status == "failed" && said.contains("gemini-1"), "{said}");

    let vertex = [
        ("GEMINI_VERTEX", "true"),
        ("GOOGLE_CLOUD_PROJECT", "example-project"),
        ("STORE", "embedded"),
        ("TASK_QUEUE", "embedded"),
        ("GCE_METADATA_HOST", "127.0.0.1:1"),
    ];
    let (code, status, said) = asked(&vertex);
    assert_eq!((code, status.as_str()), (Some(3), "failed"), "{said}");
    assert!(
        said.contains("the metadata server") && said.contains("GEMINI_API_KEY"),
        "{said}"
    );

    let (_, status, said) = asked(&[("GEMINI_API_KEY", "hush-hush"), ("GEMINI_VERTEX", "true")]);
    assert_eq!(status, "left_out", "{said}");
}
