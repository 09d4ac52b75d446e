//! The first line as the claims of a push's token, and as the whole header; the rest as its envelope.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use threatstream_runtime::{PushAuth, PushEnvelope};

const NOW_MS: i64 = 1_795_338_000_000;
const ACCOUNT: &str = "push@p.iam.gserviceaccount.com";

fuzz_target!(|data: &[u8]| {
    let line = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (claims, body) = data.split_at(line);
    let auth = PushAuth::behind_iam(Some("https://api.run.app".to_owned()), vec![ACCOUNT.to_owned()]);
    let encoded = format!("Bearer e30.{}.x", URL_SAFE_NO_PAD.encode(claims));
    for header in [claims, encoded.as_bytes()] {
        let Ok(value) = HeaderValue::from_bytes(header) else {
            continue;
        };
        match auth.authorize(&HeaderMap::from_iter([(AUTHORIZATION, value)]), NOW_MS) {
            Err(problem) => assert!(matches!(problem.status().as_u16(), 401 | 403), "{problem}"),
            Ok(()) if header == claims => {}
            Ok(()) => {
                let claims: Value = serde_json::from_slice(claims).expect("claims that pass are JSON");
                assert_eq!(claims["email"], ACCOUNT);
                assert_eq!(claims["email_verified"], true);
                assert_eq!(claims["aud"], "https://api.run.app");
                assert!(claims["exp"].as_i64().is_some_and(|exp| exp > NOW_MS / 1000 - 60));
            }
        }
    }
    match PushEnvelope::from_json(body) {
        Err(problem) => {
            assert!(
                problem.status().is_client_error() && !problem.errors().is_empty(),
                "{problem}"
            );
        }
        Ok(envelope) => {
            assert!(!envelope.message_id.is_empty() && !envelope.message_id.contains(char::is_control));
            assert_ne!(envelope.delivery_attempt, Some(0));
            match envelope.task("respond") {
                Err(problem) => assert_eq!(problem.status().as_u16(), 422),
                Ok(task) => {
                    assert_eq!(task.queue, "respond");
                    assert!(!task.id.is_empty() && task.attempt > 0);
                    assert_eq!(serde_json::from_slice::<Value>(&envelope.data).ok(), Some(task.payload));
                }
            }
        }
    }
});
