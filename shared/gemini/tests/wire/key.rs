//! AI Studio, with a key.

use std::time::Duration;

use threatstream_gemini::{GeminiError, ModelInfo, Peer};

use crate::fake::{Answer, Fake, KEY, STUDIO_MODEL, nobody, with_key};

#[tokio::test]
async fn the_key_goes_into_a_header_and_nowhere_else() {
    let fake = Fake::models([Answer::ok(STUDIO_MODEL)]).await;
    let model = fake.with_key().probe().await.unwrap();
    assert_eq!(
        model,
        ModelInfo {
            name: "models/gemini-3.5-flash-lite".to_owned(),
            display_name: Some("Gemini 3.5 Flash-Lite".to_owned()),
            version: Some("3.5".to_owned()),
            input_token_limit: Some(1_048_576),
            output_token_limit: Some(65_536),
        }
    );
    let (asked, tokens) = fake.asked();
    assert!(tokens.is_empty() && asked.len() == 1);
    assert_eq!(asked[0].path, "/v1beta/models/gemini-3.5-flash-lite");
    assert_eq!(asked[0].header("x-goog-api-key"), Some(KEY));
    assert_eq!(asked[0].header("authorization"), None);
}

#[tokio::test]
async fn what_does_not_answer_is_given_up_in_time() {
    let limit = Duration::from_millis(200);
    for answer in [Answer::Silence, Answer::Beginning] {
        let fake = Fake::models([answer]).await;
        let error = with_key(&fake.address, limit).probe().await.unwrap_err();
        assert_eq!(
            error,
            GeminiError::TimedOut {
                peer: Peer::Gemini,
                limit
            }
        );
        assert!(error.is_retryable());
    }
}

#[tokio::test]
async fn nobody_there_is_told() {
    let error = with_key(&nobody(), Duration::from_secs(20)).probe().await.unwrap_err();
    assert!(
        matches!(error, GeminiError::Unreachable { peer: Peer::Gemini, .. }),
        "{error}"
    );
    assert!(
        error.is_retryable() && error.to_string().to_lowercase().contains("refused"),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_is_bounded_and_must_be_a_model() {
    let fake = Fake::models([
        Answer::Flood,
        Answer::ok("<html>a login page</html>"),
        Answer::ok(r#"{"models": []}"#),
        Answer::ok(r#"{"name": "projects/1"}"#),
        Answer::Text(204, String::new()),
    ])
    .await;
    let gemini = fake.with_key();
    let error = gemini.probe().await.unwrap_err();
    assert!(
        matches!(error, GeminiError::TooLong { .. }) && !error.is_retryable(),
        "{error}"
    );
    for _ in 0..3 {
        let error = gemini.probe().await.unwrap_err();
        assert!(
            matches!(error, GeminiError::Malformed { .. }) && !error.is_retryable(),
            "{error}"
        );
    }
    let error = gemini.probe().await.unwrap_err();
    assert!(matches!(error, GeminiError::Refused { status: 204, .. }), "{error}");
}

#[tokio::test]
async fn a_redirect_gets_no_key() {
    let elsewhere = Fake::models([Answer::ok(STUDIO_MODEL)]).await;
    let address = format!("http://{}/v1beta/models/x", elsewhere.address);
    let fake = Fake::models([Answer::With(302, "location", address)]).await;
    let error = fake.with_key().probe().await.unwrap_err();
    assert!(matches!(error, GeminiError::Refused { status: 302, .. }), "{error}");
    assert!(elsewhere.asked().0.is_empty());
}
