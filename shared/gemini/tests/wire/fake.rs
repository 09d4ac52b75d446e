//! A server that speaks the documented wire format of AI Studio, Vertex AI and the metadata server, and remembers what it was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use threatstream_gemini::{Gemini, GeminiConfig};

pub(crate) const KEY: &str = "AIzaSyHushHushHushHushHushHushHushHush0";
pub(crate) const TOKEN: &str = "ya29.c.hush-hush-hush";

pub(crate) const STUDIO_MODEL: &str = r#"{"name": "models/gemini-3.5-flash-lite", "version": "3.5", "displayName": "Gemini 3.5 Flash-Lite",
  "description": "Fast.", "inputTokenLimit": 1048576, "outputTokenLimit": 65536,
  "supportedGenerationMethods": ["generateContent", "countTokens"], "temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2}"#;
pub(crate) const VERTEX_MODEL: &str = r#"{"name": "publishers/google/models/gemini-3.5-flash-lite", "versionId": "default",
  "openSourceCategory": "PROPRIETARY", "launchStage": "GA", "publisherModelTemplate": "projects/{user-project}/locations/{location}/publishers/google/models/gemini-3.5-flash-lite@default"}"#;

const BLANKS: &[u8] = &[b' '; 64 * 1024];

/// What it answers next, to whomever asks for a model or for a token.
pub(crate) enum Answer {
    Text(u16, String),
    With(u16, &'static str, String),
    /// Nothing, ever.
    Silence,
    /// The beginning of an answer, and nothing more, ever.
    Beginning,
    /// An answer that does not end.
    Flood,
}

impl Answer {
    pub(crate) fn ok(text: &str) -> Self {
        Self::Text(200, text.to_owned())
    }

    pub(crate) fn token(expires_in: u64) -> Self {
        Self::ok(&format!(
            r#"{{"access_token":"{TOKEN}","expires_in":{expires_in},"token_type":"Bearer"}}"#
        ))
    }

    /// As Google's interfaces refuse.
    pub(crate) fn refusal(code: u16, status: &str, message: &str) -> Self {
        Self::Text(
            code,
            format!(r#"{{"error":{{"code":{code},"message":"{message}","status":"{status}"}}}}"#),
        )
    }
}

/// A request.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Default)]
struct Script {
    models: VecDeque<Answer>,
    tokens: VecDeque<Answer>,
    asked: Vec<Asked>,
}

pub(crate) struct Fake {
    pub(crate) address: String,
    script: Arc<Mutex<Script>>,
}

impl Fake {
    /// With what it answers, in this order; to more it answers 500.
    pub(crate) async fn new(
        models: impl IntoIterator<Item = Answer>,
        tokens: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let script = Arc::new(Mutex::new(Script {
            models: models.into_iter().collect(),
            tokens: tokens.into_iter().collect(),
            asked: Vec::new(),
        }));
        let router = Router::new().fallback(answer).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, script }
    }

    pub(crate) async fn models(models: impl IntoIterator<Item = Answer>) -> Self {
        Self::new(models, []).await
    }

    /// What it was asked, models and tokens apart.
    pub(crate) fn asked(&self) -> (Vec<Asked>, Vec<Asked>) {
        let asked = std::mem::take(&mut self.script.lock().asked);
        asked
            .into_iter()
            .partition(|asked| !asked.path.starts_with("/computeMetadata"))
    }

    pub(crate) fn with_key(&self) -> Gemini {
        with_key(&self.address, Duration::from_secs(20))
    }

    pub(crate) fn with_vertex(&self) -> Gemini {
        vertex(&self.address, &self.address)
    }
}

pub(crate) fn with_key(address: &str, timeout: Duration) -> Gemini {
    let base = format!("http://{address}");
    let environment = [("GEMINI_API_KEY", KEY), ("GEMINI_BASE_URL", base.as_str())];
    let config = GeminiConfig::from_env(&environment).unwrap().unwrap();
    Gemini::new(GeminiConfig { timeout, ..config })
}

/// A port that was free a moment ago, and that nobody listens on.
pub(crate) fn nobody() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}

pub(crate) fn vertex(address: &str, metadata: &str) -> Gemini {
    let base = format!("http://{address}");
    let environment = [
        ("GEMINI_VERTEX", "true"),
        ("GOOGLE_CLOUD_PROJECT", "example-project"),
        ("GCP_REGION", "global"),
        ("GEMINI_BASE_URL", base.as_str()),
        ("GCE_METADATA_HOST", metadata),
    ];
    Gemini::new(GeminiConfig::from_env(&environment).unwrap().unwrap())
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let answer = {
        let mut script = script.lock();
        let path = request.uri().to_string();
        let next = if path.starts_with("/computeMetadata") {
            script.tokens.pop_front()
        } else {
            script.models.pop_front()
        };
        script.asked.push(Asked {
            path,
            headers: request.headers().clone(),
        });
        next
    };
    let status = |code| StatusCode::from_u16(code).unwrap();
    match answer {
        None => (StatusCode::INTERNAL_SERVER_ERROR, "the script has ended").into_response(),
        Some(Answer::Text(code, text)) => (status(code), text).into_response(),
        Some(Answer::With(code, name, value)) => (status(code), [(name, value)]).into_response(),
        Some(Answer::Silence) => std::future::pending().await,
        Some(Answer::Beginning) => {
            let beginning = stream::iter([Ok::<_, Infallible>(r#"{"name": "models/"#)]);
            Body::from_stream(beginning.chain(stream::pending())).into_response()
        }
        Some(Answer::Flood) => Body::from_stream(stream::repeat(Ok::<_, Infallible>(BLANKS))).into_response(),
    }
}
