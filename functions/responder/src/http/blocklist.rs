//! `GET /api/blocklist`: what is blocked now, as JSON for people and as a plain list for firewalls that poll.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use threatstream_domain::{BlockEntry, Timestamp, derived_id};
use threatstream_runtime::{Json, Problem, Query};

use super::unavailable;
use crate::execution::Engine;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    #[serde(default)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Txt,
}

#[derive(Debug, Serialize)]
struct Body {
    blocklist: Vec<BlockEntry>,
    count: usize,
    as_of: Timestamp,
}

pub(super) async fn blocklist(
    State(engine): State<Arc<Engine>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let as_of = engine.clock.now();
    let blocklist = engine
        .store()
        .blocklist(as_of)
        .await
        .map_err(|error| unavailable(&error))?;
    Ok(match parameters.format {
        Format::Json => Json(Body {
            count: blocklist.len(),
            blocklist,
            as_of,
        })
        .into_response(),
        Format::Txt => plain(&blocklist, &headers),
    })
}

/// One address a line, sorted, so that the same list is the same text; nothing else, because firewalls read it.
fn plain(blocklist: &[BlockEntry], headers: &HeaderMap) -> Response {
    let mut addresses: Vec<IpAddr> = blocklist.iter().filter_map(|entry| entry.ip.parse().ok()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let body: String = addresses.iter().map(|ip| format!("{ip}\n")).collect();
    let tag = format!("\"{}\"", derived_id("blocklist", &[&body]));
    let unchanged = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        // Compressing on the way makes a tag weak; the list behind it is the same.
        .any(|given| given.trim() == "*" || given.trim().trim_start_matches("W/") == tag);
    let head = [
        (
            ETAG,
            HeaderValue::from_str(&tag).unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    if unchanged {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (
        head,
        [(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))],
        body,
    )
        .into_response()
}
