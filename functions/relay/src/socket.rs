//! `GET /ws/live`: the request becomes a socket.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper_util::rt::TokioIo;
use threatstream_runtime::{Problem, Shutdown};
use tracing::debug;
use tungstenite::handshake::derive_accept_key;

use crate::relay::Relay;
use crate::session::Session;

/// The subprotocol; a client that brings a ticket offers it beside the ticket, and must be answered with it.
const SUBPROTOCOL: &str = "threatstream.v1";
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Upgrades the request.
///
/// # Errors
/// 426 when no socket is asked for, 400 when it is asked for wrongly, 503 when too many are open or the relay stops.
pub(crate) async fn open(State(relay): State<Arc<Relay>>, mut request: Request) -> Result<Response, Problem> {
    let accept = accept(request.headers())?;
    let offered = offers(request.headers(), &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    if let Some(shutdown) = request.extensions().get::<Shutdown>() {
        relay.close_with(shutdown);
    }
    if relay.ring.is_closing() {
        return Err(Problem::unavailable("the relay is stopping", Duration::from_secs(1)));
    }
    let Some(seat) = relay.seat() else {
        let detail = format!(
            "{} sockets are open, and no more are taken",
            relay.config.max_connections
        );
        return Err(Problem::unavailable(detail, Duration::from_secs(5)));
    };
    let upgrade = hyper::upgrade::on(&mut request);
    relay.sessions.spawn(async move {
        match upgrade.await {
            Ok(upgraded) => Session::new(seat, TokioIo::new(upgraded)).run().await,
            Err(error) => debug!(%error, "the upgrade did not happen"),
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if offered {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(response)
}

/// The answer to the client's key.
fn accept(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    if !offers(headers, &CONNECTION, "upgrade") || !offers(headers, &UPGRADE, "websocket") {
        return Err(Problem::new(
            StatusCode::UPGRADE_REQUIRED,
            "this route takes WebSocket connections only",
        )
        .header(UPGRADE, WEBSOCKET));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Problem::bad_request("the request has wrong headers")
            .field("sec-websocket-version", "expected 13")
            .header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or_else(|| {
        Problem::bad_request("the request has wrong headers").field("sec-websocket-key", "expected 16 bytes in base64")
    })?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|_| Problem::internal("the key could not be answered"))
}

/// Whether a header that holds a list has this token.
fn offers(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .any(|offered| offered.trim().eq_ignore_ascii_case(token))
}
