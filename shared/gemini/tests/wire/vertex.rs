//! Vertex AI, as the service account that the metadata server knows.

use threatstream_gemini::{GeminiError, Peer};

use crate::fake::{Answer, Fake, TOKEN, VERTEX_MODEL, nobody, vertex};

fn models(count: usize) -> impl Iterator<Item = Answer> {
    (0..count).map(|_| Answer::ok(VERTEX_MODEL))
}

#[tokio::test]
async fn the_service_accounts_token_is_fetched_once_and_kept() {
    let fake = Fake::new(models(2), [Answer::token(3600)]).await;
    let gemini = fake.with_vertex();
    for _ in 0..2 {
        let model = gemini.probe().await.unwrap();
        assert_eq!(model.name, "publishers/google/models/gemini-3.5-flash-lite");
        assert_eq!(model.version.as_deref(), Some("default"));
    }
    let (asked, tokens) = fake.asked();
    assert_eq!((asked.len(), tokens.len()), (2, 1));
    assert_eq!(asked[0].path, "/v1/publishers/google/models/gemini-3.5-flash-lite");
    assert_eq!(
        asked[1].header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str())
    );
    assert_eq!(asked[0].header("x-goog-api-key"), None);
    assert_eq!(
        tokens[0].path,
        "/computeMetadata/v1/instance/service-accounts/default/token"
    );
    assert_eq!(tokens[0].header("metadata-flavor"), Some("Google"));
}

#[tokio::test]
async fn a_token_near_its_end_is_not_used_again() {
    let fake = Fake::new(models(2), [Answer::token(200), Answer::token(200)]).await;
    let gemini = fake.with_vertex();
    gemini.probe().await.unwrap();
    gemini.probe().await.unwrap();
    assert_eq!(fake.asked().1.len(), 2);
}

#[tokio::test]
async fn many_who_ask_at_once_wait_for_one_token() {
    let fake = Fake::new(models(8), [Answer::token(3600)]).await;
    let gemini = fake.with_vertex();
    let probes: Vec<_> = (0..8)
        .map(|_| {
            let gemini = gemini.clone();
            tokio::spawn(async move { gemini.probe().await })
        })
        .collect();
    for probe in probes {
        probe.await.unwrap().unwrap();
    }
    assert_eq!(fake.asked().1.len(), 1);
}

#[tokio::test]
async fn a_token_that_was_refused_is_not_shown_again() {
    let refused = Answer::refusal(401, "UNAUTHENTICATED", "expired");
    let fake = Fake::new(
        [refused].into_iter().chain(models(1)),
        [Answer::token(3600), Answer::token(3600)],
    )
    .await;
    let gemini = fake.with_vertex();
    let error = gemini.probe().await.unwrap_err();
    assert!(matches!(error, GeminiError::Denied { status: 401, .. }), "{error}");
    gemini.probe().await.unwrap();
    assert_eq!(fake.asked().1.len(), 2);
}

#[tokio::test]
async fn without_a_token_the_model_is_not_asked() {
    let fake = Fake::new(
        models(1),
        [
            Answer::Text(404, "service account not found".to_owned()),
            Answer::Text(503, String::new()),
            Answer::ok("no JSON"),
            Answer::Flood,
        ],
    )
    .await;
    let gemini = fake.with_vertex();
    for (variant, again) in [
        ("NotFound", false),
        ("Failed", true),
        ("Malformed", false),
        ("TooLong", false),
    ] {
        let error = gemini.probe().await.unwrap_err();
        assert!(format!("{error:?}").starts_with(variant), "{error:?}");
        assert_eq!(
            (error.peer(), error.is_retryable()),
            (Some(Peer::Metadata), again),
            "{error}"
        );
    }
    assert!(fake.asked().0.is_empty());
}

/// As on every machine that is not Google's.
#[tokio::test]
async fn a_metadata_server_that_is_not_there_is_named() {
    let fake = Fake::models(models(1)).await;
    let error = vertex(&fake.address, &nobody()).probe().await.unwrap_err();
    assert!(
        matches!(
            error,
            GeminiError::Unreachable {
                peer: Peer::Metadata,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("the metadata server could not be reached"),
        "{error}"
    );
    assert!(fake.asked().0.is_empty());
}
