//! `/openapi.json`, and two pages that show it. Everything they need is served from here, and their content security policy lets them fetch nothing else.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::Html;
use axum::routing::get;
use bytes::Bytes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::openapi::openapi;

/// What anybody may read: it says nothing that the source does not.
pub(crate) const PUBLIC: [&str; 6] = [
    "/openapi.json",
    "/docs",
    "/docs/",
    "/docs/{*rest}",
    "/redoc",
    "/redoc/redoc.standalone.js",
];

/// Redoc, see `assets/README.md`.
static REDOC: &[u8] = include_bytes!("../assets/redoc.standalone.js");
static REDOC_PAGE: &str = include_str!("../assets/redoc.html");

/// Redoc would show its maker's logo from a server of his; this keeps the browser from asking for it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; \
     worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The routes.
pub(crate) fn router() -> Router {
    let document = Bytes::from(serde_json::to_vec(&openapi(Vec::new())).unwrap_or_default());
    // The validator would send the address of the document to a server of its maker's.
    let swagger = SwaggerUi::new("/docs").config(Config::new(["/openapi.json"]).validator_url("none"));
    Router::from(swagger)
        .route("/redoc", get(async || Html(REDOC_PAGE)))
        .route(
            "/redoc/redoc.standalone.js",
            get(async || {
                (
                    [(CONTENT_TYPE, "text/javascript"), (CACHE_CONTROL, "max-age=86400")],
                    REDOC,
                )
            }),
        )
        .layer(axum::middleware::map_response(
            async |mut response: axum::response::Response| {
                response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
                response
            },
        ))
        .route(
            "/openapi.json",
            get(move || async move { ([(CONTENT_TYPE, "application/json")], document.clone()) }),
        )
}
