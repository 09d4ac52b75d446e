//! The JSON that Cloud Logging reads.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use serde_json::Value;
use threatstream_runtime::telemetry::{LogConfig, LogFormat, dispatch};
use threatstream_runtime::{Function, ServeConfig, app};
use tower::ServiceExt;
use tracing::instrument::WithSubscriber;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends a request whose handler logs within a span of its own, and returns the lines.
async fn lines(format: LogFormat, headers: &[(&str, &str)]) -> String {
    let environment = [("GOOGLE_CLOUD_PROJECT", "my-project"), ("LOG_LEVEL", "DEBUG")];
    let config = LogConfig {
        format,
        ansi: false,
        ..LogConfig::from_env(&environment).unwrap()
    };
    let written = Written::default();
    let writer = written.clone();
    let handler = async || {
        tracing::info!(user = "evil\u{1b}[31m\nforged line", "in the handler");
        tracing::info_span!("inner").in_scope(|| tracing::warn!("deeper"));
        "ok"
    };
    let app = app(
        Function::new("test", Router::new().route("/x", get(handler))),
        &ServeConfig::local(),
    );
    let mut request = Request::get("/x").header("x-request-id", "id-1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.oneshot(request.body(Body::empty()).unwrap());
    response
        .with_subscriber(dispatch(&config, move || writer.clone()))
        .await
        .unwrap();
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn parse(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
        .collect()
}

#[tokio::test]
async fn every_line_of_a_request_names_its_trace() {
    let trace = "105445aa7843bc8bf206b12000100000";
    for (name, value, sampled) in [
        ("x-cloud-trace-context", format!("{trace}/1;o=1"), true),
        ("x-cloud-trace-context", trace.to_owned(), false),
        ("traceparent", format!("00-{trace}-00f067aa0ba902b7-00"), false),
    ] {
        let lines = parse(&lines(LogFormat::Stackdriver, &[(name, &value)]).await);
        let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(messages, ["in the handler", "deeper", "request answered"]);
        for line in &lines {
            assert_eq!(
                line["logging.googleapis.com/trace"],
                format!("projects/my-project/traces/{trace}"),
                "{line}"
            );
            let span = line["logging.googleapis.com/spanId"].as_str().unwrap();
            assert!(span.len() == 16 && span != "0000000000000000", "{line}");
            assert_eq!(
                line["logging.googleapis.com/trace_sampled"].as_bool().unwrap_or(false),
                sampled,
                "{line}"
            );
            assert_eq!(line["spans"][0]["request_id"], "id-1", "{line}");
        }
        assert_eq!(
            (&lines[0]["severity"], &lines[1]["severity"]),
            (&"INFO".into(), &"WARNING".into())
        );
    }
}

#[tokio::test]
async fn without_a_trace_one_is_begun_and_a_wrong_one_is_ignored() {
    for headers in [
        &[][..],
        &[("x-cloud-trace-context", "../../etc"), ("traceparent", "00-zz")],
    ] {
        let lines = parse(&lines(LogFormat::Stackdriver, headers).await);
        let trace = lines[0]["logging.googleapis.com/trace"].as_str().unwrap();
        assert!(
            trace.starts_with("projects/my-project/traces/") && trace.len() == 27 + 32,
            "{trace}"
        );
        assert!(
            lines.iter().all(|line| line["logging.googleapis.com/trace"] == trace),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn text_lines_carry_the_request_id_and_no_escapes() {
    let text = lines(LogFormat::Text, &[]).await;
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.lines().all(|line| line.contains("request_id=\"id-1\"")), "{text}");
    assert!(!text.contains('\u{1b}'));
}
