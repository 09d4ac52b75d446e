//! The routes over a real embedded store.

mod by_hand;
mod listing;
mod pushed;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use threatstream_backend::RESPOND_QUEUE;
use threatstream_domain::Threat;
use threatstream_runtime::auth::{Tokens, hash_token};
use threatstream_runtime::{AuthMode, CancellationToken, PushAuth, ServeConfig, app};
use tower::ServiceExt;

use super::*;
use crate::testing::{Answer, Receiver, World, execution_id, library};

const PLAYBOOK: &str = "pb-brute-001";
const CAREFUL: &str = "id: careful\nname: Careful\napproval: required\n\
    trigger: {threat_types: [BRUTE_FORCE], min_severity: LOW}\n\
    steps: [{name: Block, action: block_source, with: {minutes: 5}}]\n";

struct Answered {
    status: StatusCode,
    headers: http::HeaderMap,
    text: String,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

async fn send(engine: &Arc<Engine>, request: Request<Body>) -> Answered {
    let response = router(Arc::clone(engine)).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answered {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

async fn get(engine: &Arc<Engine>, path: &str) -> Answered {
    send(engine, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn post(engine: &Arc<Engine>, path: &str, body: &Value) -> Answered {
    post_keyed(engine, path, body, None).await
}

async fn post_keyed(engine: &Arc<Engine>, path: &str, body: &Value, key: Option<&str>) -> Answered {
    let mut request = Request::post(path).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    send(engine, request.body(Body::from(body.to_string())).unwrap()).await
}

/// Works what lies in the queue.
async fn work(world: &World, engine: &Arc<Engine>) {
    let lease = Duration::from_secs(120);
    loop {
        let now = world.clock.now();
        let tasks = &world.backends.tasks;
        let deliveries = tasks.take(RESPOND_QUEUE, 10, lease, now, Duration::ZERO).await.unwrap();
        if deliveries.is_empty() {
            return;
        }
        for delivery in deliveries {
            crate::worker::handle(engine, &delivery, &CancellationToken::new()).await;
        }
    }
}

fn source(ip: &'static str) -> impl FnOnce(&mut Threat) {
    move |threat| threat.source_ip = Some(ip.to_owned())
}
