//! Who may pass.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::Request;
use http::header::{AUTHORIZATION, CONNECTION, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderName, Method};

use super::Guard;
use crate::auth::{AuthMode, Principal, Role, iam_caller, is_same_origin};
use crate::function::RouteRule;
use crate::problem::Problem;
use crate::rate_limit::Caller;

/// Where sockets live.
const SOCKETS: &str = "/ws/";

/// Where credentials may ride along unasked (open mode has none, and a browser adds those of a proxy), a stranger's page must not be
/// able to use them. Tokens are sent on purpose only.
pub(super) fn check_origin(guard: &Guard, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let host = text(headers, &HOST).or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    match guard.config.auth {
        AuthMode::Token(_) => return Ok(()),
        // A program without a `Host` is no browser.
        AuthMode::Open if host.is_some_and(|host| !guard.config.cors_origins.allows_host(host)) => {
            return Err(
                Problem::forbidden("without authentication this server answers to names of this machine only").field(
                    "host",
                    "expected localhost, a loopback address, or the host of an allowed origin",
                ),
            );
        }
        AuthMode::Open | AuthMode::Iam => {}
    }
    let changes = !is_safe(request.method()) || headers.contains_key(UPGRADE);
    if let Some(origin) = headers.get(ORIGIN).filter(|_| changes) {
        let origin = origin.to_str().unwrap_or_default();
        let same = host.is_some_and(|host| is_same_origin(origin, host));
        if !same && !guard.config.cors_origins.allows_origin(origin) {
            return Err(Problem::forbidden("pages of this origin may not send this request")
                .field("origin", "expected an allowed origin"));
        }
    }
    Ok(())
}

/// The principal, or `None` on a public route.
pub(super) fn authenticate(
    guard: &Guard,
    rule: Option<RouteRule>,
    request: &Request,
    peer: Option<IpAddr>,
) -> Result<Option<Principal>, Problem> {
    let principal = match &guard.config.auth {
        AuthMode::Open => return Ok(Some(guard.local.clone())),
        AuthMode::Iam => return Ok(Some(iam_caller(request.headers()))),
        AuthMode::Token(tokens) => match bearer(request.headers()) {
            Some(token) => tokens.verify(token),
            None => ticket(guard, request),
        },
    };
    match principal {
        None if rule.is_some_and(|rule| rule.public) => Ok(None),
        None => {
            // Guesses cost the guesser his allowance.
            if let Some(peer) = peer {
                charge(guard, Caller::address(peer))?;
            }
            Err(Problem::unauthorized("this needs a bearer token that is known here"))
        }
        Some(principal) => {
            if !rule.is_some_and(|rule| rule.public) {
                principal.require(needed_role(rule, request.method()))?;
            }
            Ok(Some(principal))
        }
    }
}

/// Counts the request against its caller, except in bulk and from this very machine.
pub(super) fn limit_rate(
    guard: &Guard,
    rule: Option<RouteRule>,
    principal: Option<&Principal>,
    peer: Option<IpAddr>,
) -> Result<(), Problem> {
    if rule.is_some_and(|rule| rule.ingest) {
        return Ok(());
    }
    let caller = match (&guard.config.auth, principal, peer) {
        (AuthMode::Open, _, peer) if peer.is_none_or(|peer| peer.to_canonical().is_loopback()) => return Ok(()),
        (AuthMode::Open, _, Some(peer)) | (_, None, Some(peer)) => Caller::address(peer),
        (_, Some(principal), _) => Caller::Principal(principal.name.clone()),
        (_, None, None) => Caller::Others,
    };
    charge(guard, caller)
}

fn charge(guard: &Guard, caller: Caller) -> Result<(), Problem> {
    let Some(limiter) = &guard.limiter else { return Ok(()) };
    limiter.check(caller, Instant::now()).map_err(|wait| {
        let (requests, window) = (
            guard.config.rate_limit_requests,
            guard.config.rate_limit_window.as_secs(),
        );
        Problem::too_many_requests(format!("more than {requests} requests in {window} seconds"), wait)
    })
}

fn needed_role(rule: Option<RouteRule>, method: &Method) -> Role {
    match rule {
        // Let them learn that there is nothing.
        None => Role::Viewer,
        Some(RouteRule { role: Some(role), .. }) => role,
        Some(RouteRule { ingest: true, .. }) => Role::Ingest,
        Some(_) if is_safe(method) => Role::Viewer,
        Some(_) => Role::Analyst,
    }
}

pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, &AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether this asks for a socket. Sockets have a limit of their own, on how many are open, and after a restart many come back at once.
/// Only where sockets live: elsewhere the header would be a way around the rate limit.
pub(super) fn opens_socket(request: &Request) -> bool {
    let lists = |name: &HeaderName, token: &str| {
        let mut tokens = text(request.headers(), name)
            .unwrap_or_default()
            .split(',')
            .map(str::trim);
        tokens.any(|listed| listed.eq_ignore_ascii_case(token))
    };
    *request.method() == Method::GET
        && request.uri().path().starts_with(SOCKETS)
        && lists(&UPGRADE, "websocket")
        && lists(&CONNECTION, "upgrade")
}

/// Under `/ws/` a ticket may come as the subprotocol `ticket.<ticket>`: the one header that a page can set on a WebSocket.
fn ticket(guard: &Guard, request: &Request) -> Option<Principal> {
    if !request.uri().path().starts_with(SOCKETS) {
        return None;
    }
    let verifier = guard.config.ticket_verifier.as_ref()?;
    let protocols = request
        .headers()
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tickets = protocols
        .flat_map(|value| value.split(','))
        .filter_map(|protocol| protocol.trim().strip_prefix("ticket."));
    tickets.next().and_then(|ticket| verifier.verify(ticket))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
