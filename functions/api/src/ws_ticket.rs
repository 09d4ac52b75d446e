//! `POST /api/ws-ticket`: what a browser shows the relay, because there it cannot send a header.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use threatstream_runtime::{Json, Principal};
use utoipa::ToSchema;

use crate::api::Api;

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// Goes into the subprotocol `ticket.<ticket>`.
    ticket: String,
    /// Seconds that it is good for.
    expires_in: u64,
}

/// A ticket for `/ws/live`
#[utoipa::path(post, path = "/api/ws-ticket", tag = "live", responses((status = 200, body = Ticket)))]
pub(crate) async fn ws_ticket(State(api): State<Arc<Api>>, principal: Principal) -> Json<Ticket> {
    let ticket = api.tickets.issue(&principal, api.clock.now().as_millis());
    Json(Ticket {
        ticket,
        expires_in: api.tickets.lifetime().as_secs(),
    })
}
