//! `/api/health` with a model, which is asked over a real connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use threatstream_api::Config;
use threatstream_gemini::GeminiConfig;

use crate::world::{World, good_rules};

/// AI Studio as far as health asks for it. Answers are made by the number of the request, from 0.
struct Studio {
    world: World,
    asked: Arc<AtomicUsize>,
}

impl Studio {
    /// Patient: what answers must not be taken for what hangs.
    async fn answering(answer: impl Fn(usize) -> Option<Response> + Clone + Send + Sync + 'static) -> Self {
        Self::within(Duration::from_secs(30), answer).await
    }

    async fn within(
        probe_timeout: Duration,
        answer: impl Fn(usize) -> Option<Response> + Clone + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let route = get(async move || match answer(counter.fetch_add(1, Ordering::SeqCst)) {
            Some(response) => response,
            None => std::future::pending().await,
        });
        let router = Router::new().route("/v1beta/models/gemini-3.5-flash-lite", route);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let environment = [("GEMINI_API_KEY", "hush"), ("GEMINI_BASE_URL", address.as_str())];
        let config = Config {
            gemini: GeminiConfig::from_env(&environment).unwrap(),
            probe_timeout,
            ..Config::default()
        };
        Self {
            world: World::with(config, good_rules(), |options| options),
            asked,
        }
    }

    /// The HTTP status, the whole's and the model's.
    async fn health(&self) -> (u16, Value, Value) {
        let answer = self.world.get("/api/health").await;
        let json = answer.json();
        (
            answer.status.as_u16(),
            json["status"].clone(),
            json["services"]["gemini"].clone(),
        )
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn model() -> Option<Response> {
    Some(r#"{"name": "models/gemini-3.5-flash-lite"}"#.into_response())
}

fn status(code: u16) -> Option<Response> {
    Some(http::StatusCode::from_u16(code).unwrap().into_response())
}

#[tokio::test]
async fn it_is_asked_at_most_twice_a_minute() {
    let studio = Studio::answering(|_| model()).await;
    for _ in 0..5 {
        assert_eq!(studio.health().await, (200, json!("healthy"), json!("up")));
    }
    assert_eq!(studio.asked(), 1);
    studio.world.clock.advance(Duration::from_millis(29_999));
    studio.health().await;
    assert_eq!(studio.asked(), 1);
    studio.world.clock.advance(Duration::from_millis(1));
    studio.health().await;
    assert_eq!(studio.asked(), 2);
}

#[tokio::test]
async fn many_who_ask_at_once_wait_for_one_answer() {
    let studio = Studio::answering(|_| model()).await;
    let (first, second, third) = tokio::join!(studio.health(), studio.health(), studio.health());
    assert_eq!((&first, &second), (&second, &third));
    assert_eq!((first.2, studio.asked()), (json!("up"), 1));
}

/// It is no needed part: nothing but itself is told to be down.
#[tokio::test]
async fn a_model_that_is_down_takes_nothing_down_and_comes_back() {
    for code in [401, 403, 404, 500, 503, 302] {
        let studio = Studio::answering(move |number| if number == 0 { status(code) } else { model() }).await;
        assert_eq!(studio.health().await, (200, json!("healthy"), json!("down")), "{code}");
        studio.world.clock.advance(Duration::from_secs(30));
        assert_eq!(studio.health().await, (200, json!("healthy"), json!("up")), "{code}");
    }
    let studio = Studio::answering(|_| Some("no model".into_response())).await;
    assert_eq!(studio.health().await.2, json!("down"));
}

#[tokio::test]
async fn a_model_that_asks_to_wait_is_degraded_and_gets_its_time() {
    let wait = || (http::StatusCode::TOO_MANY_REQUESTS, [("retry-after", "120")]).into_response();
    let studio = Studio::answering(move |number| if number == 0 { Some(wait()) } else { model() }).await;
    assert_eq!(studio.health().await, (200, json!("healthy"), json!("degraded")));
    studio.world.clock.advance(Duration::from_secs(119));
    assert_eq!((studio.health().await.2, studio.asked()), (json!("degraded"), 1));
    studio.world.clock.advance(Duration::from_secs(1));
    assert_eq!((studio.health().await.2, studio.asked()), (json!("up"), 2));
}

#[tokio::test]
async fn a_model_that_hangs_is_down_and_delays_nobody_for_long() {
    // Less than the client's own limit.
    let studio = Studio::within(Duration::from_secs(2), |_| None).await;
    let started = Instant::now();
    assert_eq!(studio.health().await.2, json!("down"));
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    let asked = studio.asked();
    assert!(asked <= 1, "{asked}");
    assert_eq!((studio.health().await.2, studio.asked()), (json!("down"), asked));
}
