//! What each status means, and that nothing told of it holds a secret.

use std::time::Duration;

use threatstream_gemini::GeminiError;

use crate::fake::{Answer, Fake, KEY, STUDIO_MODEL, TOKEN};

async fn refused(answer: Answer) -> GeminiError {
    let fake = Fake::models([answer, Answer::ok(STUDIO_MODEL)]).await;
    let gemini = fake.with_key();
    let error = gemini.probe().await.unwrap_err();
    assert_eq!(fake.asked().0.len(), 1, "it is asked once");
    assert!(gemini.probe().await.is_ok(), "a refusal is not remembered");
    error
}

#[tokio::test]
async fn statuses_say_what_is_wrong_and_whether_to_try_again() {
    for (code, status, variant, again) in [
        (400, "INVALID_ARGUMENT", "Refused", false),
        (401, "UNAUTHENTICATED", "Denied", false),
        (403, "PERMISSION_DENIED", "Denied", false),
        (404, "NOT_FOUND", "NotFound", false),
        (429, "RESOURCE_EXHAUSTED", "RateLimited", true),
        (500, "INTERNAL", "Failed", true),
        (503, "UNAVAILABLE", "Failed", true),
    ] {
        let error = refused(Answer::refusal(code, status, "because of that")).await;
        let debug = format!("{error:?}");
        assert!(debug.starts_with(variant), "{code}: {debug}");
        assert_eq!(error.is_retryable(), again, "{code}");
        let told = error.to_string();
        assert!(told.contains(status) && told.contains("because of that"), "{told}");
    }
    let error = refused(Answer::refusal(404, "NOT_FOUND", "no")).await;
    assert!(error.to_string().contains("gemini-3.5-flash-lite"), "{error}");
}

/// AI Studio's answer to a key that it does not know.
#[tokio::test]
async fn an_invalid_key_is_named_so_though_it_comes_as_a_400() {
    let body = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT",
        "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
    let error = refused(Answer::Text(400, body.to_owned())).await;
    assert!(matches!(error, GeminiError::Denied { status: 400, .. }), "{error}");
}

#[tokio::test]
async fn how_long_to_wait_is_told() {
    for code in [429, 503] {
        let error = refused(Answer::With(code, "retry-after", "17".to_owned())).await;
        assert_eq!(error.retry_after(), Some(Duration::from_secs(17)), "{error}");
    }
}

/// Google's words about a suspended key hold the key.
#[tokio::test]
async fn no_message_holds_a_key_or_a_token() {
    let repeats = |secret: &str| {
        let message = format!("Permission denied: Consumer 'api_key:{secret}' has been suspended.");
        [
            Answer::refusal(403, "PERMISSION_DENIED", &message),
            Answer::refusal(500, secret, "x"),
            Answer::Text(400, format!("x{}{secret}", " ".repeat(16 * 1024 - 20))),
            Answer::ok(&format!(r#"{{"name":"{secret}"}}"#)),
            Answer::ok(&format!(r#"{{"name":7,"{secret}":"{secret}"}}"#)),
        ]
    };
    let fake = Fake::models(repeats(KEY)).await;
    let gemini = fake.with_key();
    assert!(!format!("{gemini:?}").contains("Hush"));
    for _ in 0..5 {
        let error = gemini.probe().await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Hush"), "{error:?}");
    }
    let fake = Fake::new(repeats(TOKEN), [Answer::token(3600)]).await;
    let gemini = fake.with_vertex();
    for _ in 0..5 {
        let error = gemini.probe().await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}

#[tokio::test]
async fn a_servers_words_move_no_cursor() {
    let error = refused(Answer::Text(500, "\u{1b}[2Jgone\r\n\u{7}".to_owned())).await;
    assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
}
