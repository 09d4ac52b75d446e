//! What leaves: every error a problem, and the headers that keep browsers careful.

use axum::body::HttpBody;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, REFERRER_POLICY, TRANSFER_ENCODING,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};

use crate::problem::Problem;

/// Longest plain text of a handler's or extractor's rejection that becomes a detail, in bytes.
const MAX_DETAIL: u64 = 500;

/// `api`: whether the answer is the API's. What it says is true for a moment, and for one caller: no cache may keep it, unless the handler
/// says which may.
pub(super) async fn finish(response: Response, api: bool) -> Response {
    let failed = response.status().is_client_error() || response.status().is_server_error();
    let mut response = if failed && !is_json(&response) {
        as_problem(response).await
    } else {
        response
    };
    let uncached = api && is_json(&response);
    let headers = response.headers_mut();
    if uncached {
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(REFERRER_POLICY)
        .or_insert(HeaderValue::from_static("no-referrer"));
    response
}

/// A problem, or a document that says with a 503 what does not work.
fn is_json(response: &Response) -> bool {
    let media_type = response
        .headers()
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    media_type.starts_with(b"application/problem+json") || media_type.starts_with(b"application/json")
}

/// The same status and headers with a problem as the body.
async fn as_problem(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let detail = match parts.status {
        StatusCode::METHOD_NOT_ALLOWED => "this route does not take this method".to_owned(),
        StatusCode::PAYLOAD_TOO_LARGE => return too_large().into_response(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "the body's media type is not one that this route reads".to_owned(),
        // What failed inside is nobody's business outside.
        status if status.is_server_error() => "the request could not be processed".to_owned(),
        status => {
            let text = if body.size_hint().upper().is_some_and(|length| length <= MAX_DETAIL) {
                axum::body::to_bytes(body, MAX_DETAIL as usize).await.ok()
            } else {
                None
            };
            match text.as_deref().map(String::from_utf8_lossy) {
                Some(text) if !text.is_empty() => text.into_owned(),
                _ if status == StatusCode::NOT_FOUND => "there is no such route".to_owned(),
                _ => "the request was refused".to_owned(),
            }
        }
    };
    let mut problem = Problem::new(parts.status, detail).into_response();
    for stale in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING] {
        parts.headers.remove(stale);
    }
    problem.headers_mut().extend(parts.headers);
    problem
}

pub(super) fn too_large() -> Problem {
    Problem::payload_too_large("the body, once decompressed, is larger than this route takes")
        .field("body", "too large")
}
