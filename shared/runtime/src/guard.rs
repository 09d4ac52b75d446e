//! The layer right around the handlers: who may pass, how much they may send, and that every error is a problem.

mod admission;
pub(crate) mod encoding;
mod outcome;
pub(crate) mod query;
mod unread;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use crate::auth::Principal;
use crate::config::ServeConfig;
use crate::function::RouteRule;
use crate::problem::Problem;
use crate::rate_limit::RateLimiter;
use crate::server::Shutdown;

/// What the layer knows.
pub(crate) struct Guard {
    config: ServeConfig,
    rules: HashMap<&'static str, RouteRule>,
    limiter: Option<RateLimiter>,
    in_flight: AtomicUsize,
    shutdown: Shutdown,
    local: Principal,
}

impl Guard {
    pub(crate) fn new(config: ServeConfig, rules: HashMap<&'static str, RouteRule>, shutdown: Shutdown) -> Self {
        let limiter = RateLimiter::new(config.rate_limit_requests, config.rate_limit_window);
        let local = Principal::new("local", crate::auth::Role::Admin);
        Self {
            config,
            rules,
            limiter,
            in_flight: AtomicUsize::new(0),
            shutdown,
            local,
        }
    }
}

pub(crate) async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    unread::linger(&mut request);
    let rule = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| guard.rules.get(path.as_str()).copied().unwrap_or_default());
    let api = request.uri().path().starts_with(query::API);
    let response = if rule.is_some_and(|rule| rule.probe) {
        next.run(request).await
    } else {
        match pass(&guard, rule, request, next).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    };
    outcome::finish(response, api).await
}

async fn pass(
    guard: &Arc<Guard>,
    rule: Option<RouteRule>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    admission::check_origin(guard, &request)?;
    let peer = peer(&request, guard.config.on_cloud_run);
    let principal = admission::authenticate(guard, rule, &request, peer)?;
    if !admission::opens_socket(&request) {
        admission::limit_rate(guard, rule, principal.as_ref(), peer)?;
    }
    let _slot = Slot::take(guard)?;

    let limit = if rule.is_some_and(|rule| rule.ingest) {
        guard.config.ingest_limit
    } else {
        guard.config.body_limit
    };
    let most = limit.max(crate::app::marked_limit());
    if content_length(request.headers()).is_some_and(|length| length > most as u64) {
        return Err(outcome::too_large());
    }
    let asked = query::admit(rule, &mut request)?;
    encoding::unpack(&mut request, most)?;
    DefaultBodyLimit::max(limit).apply(&mut request);
    let extensions = request.extensions_mut();
    extensions.insert(guard.shutdown.clone());
    if let Some(principal) = principal {
        extensions.insert(principal);
    }
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(guard.config.request_timeout, handled).await {
        Ok(Ok(response)) => asked.answer(response),
        Ok(Err(panic)) => {
            let message = panic_message(&*panic);
            tracing::error!(message, "a handler panicked");
            Err(Problem::internal(
                "the request could not be processed; its x-request-id finds the reason in the log",
            ))
        }
        Err(_) => Err(Problem::unavailable(
            "the request took too long and was given up",
            Duration::from_secs(1),
        )),
    }
}

/// The text of a panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The caller's address. On Cloud Run every peer is Google's front end, which appends the caller to `X-Forwarded-For`; what stands before
/// is the caller's own claim.
fn peer(request: &Request, on_cloud_run: bool) -> Option<IpAddr> {
    if on_cloud_run {
        let forwarded = request
            .headers()
            .get_all("x-forwarded-for")
            .iter()
            .next_back()?
            .to_str()
            .ok()?;
        return forwarded.rsplit(',').next()?.trim().parse().ok();
    }
    request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(address)| address.ip())
}

/// One of the requests in flight.
struct Slot(Arc<Guard>);

impl Slot {
    fn take(guard: &Arc<Guard>) -> Result<Self, Problem> {
        let slot = Self(Arc::clone(guard));
        if guard.in_flight.fetch_add(1, Ordering::Relaxed) >= guard.config.max_in_flight {
            return Err(Problem::unavailable(
                "too many requests are being answered",
                Duration::from_secs(1),
            ));
        }
        Ok(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
