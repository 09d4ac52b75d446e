//! The router with every layer: what [`serve`](crate::serve) listens with, and what tests drive.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, RETRY_AFTER,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::{INGEST_LIMIT, ServeConfig};
use crate::function::{Function, RouteRule};
use crate::guard::{Guard, guard};
use crate::health::Health;
use crate::metrics;
use crate::observe::{self, observe};
use crate::server::Shutdown;

/// Responses below this are not worth compressing, in bytes.
const MIN_COMPRESSED: u64 = 1024;

/// The router with every layer that [`serve`](crate::serve) adds; the workers are dropped. For tests that drive it with
/// `tower::ServiceExt::oneshot`. Without a peer address, a request counts as coming from this machine.
pub fn app(function: Function, config: &ServeConfig) -> Router {
    assemble(
        function.router,
        function.rules,
        Health::new(function.name, function.probes, Vec::new()),
        config,
        Shutdown::default(),
    )
}

/// A layer for a single route that takes 10 MiB bodies. A path given to [`Function::ingest`] has it, and all else that ingest needs.
pub fn ingest_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(INGEST_LIMIT)
}

/// What a route may have been given by [`ingest_limit`]: a longer body is refused by its length alone, before it is read.
pub(crate) const fn marked_limit() -> usize {
    INGEST_LIMIT
}

pub(crate) fn assemble(
    router: Router,
    mut rules: std::collections::HashMap<&'static str, RouteRule>,
    health: Health,
    config: &ServeConfig,
    shutdown: Shutdown,
) -> Router {
    observe::register();
    for path in ["/healthz", "/readyz"] {
        rules.insert(
            path,
            RouteRule {
                probe: true,
                public: true,
                ..RouteRule::default()
            },
        );
    }
    let health = Arc::new(health);
    let stopping = shutdown.clone();
    let router = router
        .route(
            "/healthz",
            get(async || axum::Json(serde_json::json!({ "status": "live" }))),
        )
        .route(
            "/readyz",
            get(async move || health.report(stopping.is_stopping()).await),
        )
        .route("/metrics", get(async |headers: HeaderMap| metrics::answer(&headers)));
    let state = Arc::new(Guard::new(config.clone(), rules, shutdown));
    let layers = ServiceBuilder::new()
        .layer(from_fn(observe))
        .layer(
            CompressionLayer::new().compress_when(DefaultPredicate::new().and(SizeAbove::new(MIN_COMPRESSED)).and(
                |status: StatusCode, _: Version, _: &HeaderMap, _: &http::Extensions| {
                    status != StatusCode::SWITCHING_PROTOCOLS
                },
            )),
        )
        .layer(cors(config))
        .layer(from_fn_with_state(state, guard));
    router.layer(layers)
}

fn cors(config: &ServeConfig) -> CorsLayer {
    let origins = config
        .cors_origins
        .as_slice()
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok());
    let request_id = HeaderName::from_static("x-request-id");
    let idempotency_key = HeaderName::from_static("idempotency-key");
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            CONTENT_ENCODING,
            IF_MATCH,
            IF_NONE_MATCH,
            idempotency_key,
            request_id.clone(),
        ])
        .expose_headers([ETAG, RETRY_AFTER, request_id])
        .max_age(std::time::Duration::from_secs(3600))
}
