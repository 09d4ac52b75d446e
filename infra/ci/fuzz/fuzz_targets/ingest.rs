//! Any bytes as the body of `POST /api/events`, through every layer and into a real log: never a 5xx, and every line is
//! accounted for.
#![no_main]

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tempfile::TempDir;
use threatstream_api::{Config, Dependencies, RuleSummary, build};
use threatstream_detection::decode::FORMATS;
use threatstream_domain::{Clock, Timestamp};
use threatstream_embedded::Options;
use threatstream_runtime::{ServeConfig, Tickets, app};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

const KINDS: &[Option<&str>] = &[
    None,
    Some("application/json"),
    Some("application/x-ndjson"),
    Some("text/plain"),
    Some("text/plain; charset=latin1"),
    Some("odd"),
];

struct Api {
    runtime: Runtime,
    router: Router,
    _folder: TempDir,
}

static API: LazyLock<Api> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    // In memory where there is such a folder: every accepted body waits for the disk.
    let memory = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
    let folder = memory.expect("a folder for the log");
    let mut options = Options::new(folder.path());
    options.max_log_bytes = 64 << 20;
    options.clock = Clock::fixed(Timestamp::from_secs(1_795_338_000));
    let clock = options.clock.clone();
    let router = runtime.block_on(async {
        let backends = threatstream_embedded::open(options)
            .expect("an empty folder can be opened")
            .backends();
        let summary = RuleSummary {
            loaded: 1,
            set_aside: 0,
            rules_hash: "0".repeat(16),
            reload_failure: None,
        };
        let dependencies = Dependencies {
            backends,
            clock,
            rules: Arc::new(move || Ok(summary.clone())),
            tickets: Tickets::with_key(b"key"),
        };
        let serve = ServeConfig {
            rate_limit_requests: 0,
            ..ServeConfig::local()
        };
        app(build(Config::default(), dependencies), &serve)
    });
    Api {
        runtime,
        router,
        _folder: folder,
    }
});

// Two bytes say how the body is sent: its content type, whether it claims to be gzip, and the decoder asked for.
fuzz_target!(|data: &[u8]| {
    let [kind, format, body @ ..] = data else { return };
    let (gzip, keyed) = (kind & 0x80 != 0, kind & 0x40 != 0);
    let kind = KINDS[usize::from(kind & 0x3f) % KINDS.len()];
    let format = FORMATS[usize::from(*format) % FORMATS.len()];
    let mut request = Request::post(format!("/api/events?format={format}"));
    if let Some(kind) = kind {
        request = request.header(CONTENT_TYPE, kind);
    }
    if gzip {
        request = request.header(CONTENT_ENCODING, "gzip");
    }
    if keyed {
        request = request.header("idempotency-key", "k");
    }
    let request = request.body(Body::from(body.to_vec())).expect("a request");
    let (status, answer) = API.runtime.block_on(async {
        let response = API
            .router
            .clone()
            .oneshot(request)
            .await
            .unwrap_or_else(|never| match never {});
        let (parts, body) = response.into_parts();
        (parts.status, body.collect().await.expect("a whole answer").to_bytes())
    });
    let answer: Value = serde_json::from_slice(&answer).expect("the answer is JSON");
    assert!(
        [
            StatusCode::ACCEPTED,
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        ]
        .contains(&status),
        "{status}: {answer}"
    );
    let count = |name: &str| answer[name].as_u64();
    if let (Some(accepted), Some(rejected)) = (count("accepted"), count("rejected")) {
        assert_eq!(status == StatusCode::ACCEPTED, accepted > 0, "{answer}");
        if !gzip && matches!(kind, Some("text/plain" | "application/x-ndjson")) {
            assert_eq!(accepted + rejected, lines(body), "{answer}");
        }
    } else {
        assert_ne!(status, StatusCode::ACCEPTED, "{answer}");
    }
});

/// Lines that are not blank.
fn lines(body: &[u8]) -> u64 {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let lines = body.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.trim_ascii().is_empty()).count() as u64
}
