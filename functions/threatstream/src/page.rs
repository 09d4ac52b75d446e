//! What `/` answers in the single process: the page to a browser, the API's description to a program.

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use threatstream_relay::Page;

/// A browser asks for HTML by name; whoever does not gets JSON.
pub(crate) fn answer(headers: &HeaderMap, page: &Page, information: &threatstream_api::Config) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let mut response = if accept.contains("text/html") {
        page.clone().into_response()
    } else {
        threatstream_api::information(information).into_response()
    };
    response
        .headers_mut()
        .insert(header::VARY, header::HeaderValue::from_static("accept"));
    response
}
