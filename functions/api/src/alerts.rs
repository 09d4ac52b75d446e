//! Alerts, as they are looked up and worked on.

pub(crate) mod acknowledge;
pub(crate) mod active;
pub(crate) mod all;
pub(crate) mod assign;
pub(crate) mod investigate;
pub(crate) mod notes;
pub(crate) mod one;
mod page;
pub(crate) mod resolve;
mod step;
mod version;

use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use threatstream_domain::Alert;
use threatstream_runtime::{Json, Problem};

fn unknown(id: &str) -> Problem {
    Problem::not_found("there is no such alert").field("id", id)
}

/// An alert, with the analysts' version as its entity tag: a weak one, because threats that join change the alert and not the version.
fn shown(alert: Alert) -> Response {
    let tag = format!("W/\"{}\"", alert.case.version);
    ([(ETAG, tag)], Json(alert)).into_response()
}
