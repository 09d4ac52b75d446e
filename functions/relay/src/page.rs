//! The page that shows what comes over the socket: one response, nothing loaded from elsewhere.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use sha2::{Digest, Sha256};

use crate::config::ApiUrl;

const HTML: &str = include_str!("../page/index.html");
const STYLE: &str = include_str!("../page/page.css");
const SCRIPT: &str = include_str!("../page/page.js");

static SAME_ORIGIN: LazyLock<Page> = LazyLock::new(|| Page::new(None));

/// The page for an api at the same origin.
pub fn page() -> impl IntoResponse {
    SAME_ORIGIN.clone()
}

/// The page. Cloning it copies nothing; as a response it is HTML under a policy that runs its own script alone.
#[derive(Clone, Debug)]
pub struct Page {
    body: Bytes,
    policy: HeaderValue,
}

impl Page {
    /// The page for an api elsewhere; `None`: where the page came from.
    #[must_use]
    pub fn new(api_url: Option<&ApiUrl>) -> Self {
        let api = api_url.map_or("", ApiUrl::as_str);
        let body = HTML
            .replace("{{api_url}}", api)
            .replace("{{style}}", STYLE)
            .replace("{{script}}", SCRIPT);
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self' {api}; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            source_hash(SCRIPT),
            source_hash(STYLE),
        );
        // Hashes are base64, and an ApiUrl holds nothing but letters, digits and punctuation of origins.
        let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self {
            body: body.into(),
            policy,
        }
    }
}

fn source_hash(source: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(source)))
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (CONTENT_SECURITY_POLICY, self.policy),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        (headers, self.body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_what_the_page_holds() {
        let api = ApiUrl::parse("https://api.example.com").unwrap();
        let page = Page::new(Some(&api));
        let body = std::str::from_utf8(&page.body).unwrap();
        let policy = page.policy.to_str().unwrap();
        assert!(!body.contains("{{"), "a placeholder was left");
        assert!(body.contains("https://api.example.com"));
        assert!(
            policy.contains("connect-src 'self' https://api.example.com;"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"));
        for (open, close) in [("<script>", "</script>"), ("<style>", "</style>")] {
            let inner = body.split_once(open).unwrap().1.split_once(close).unwrap().0;
            assert!(policy.contains(&source_hash(inner)), "{open} does not match its hash");
        }
        for external in [
            "src=\"http",
            "href=\"http",
            "@import",
            "url(http",
            "onclick=",
            "innerHTML",
            "style=\"",
        ] {
            assert!(!body.contains(external), "{external}");
        }
    }
}
