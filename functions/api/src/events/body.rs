//! How a body is to be read.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use threatstream_runtime::Problem;

/// How a body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// One JSON document: an event or an array.
    Json,
    /// A JSON document a line.
    Ndjson,
    /// A log line a line.
    Text,
}

const ALLOWED: &str = "expected application/json, application/x-ndjson or text/plain";

impl BodyKind {
    /// By the content type; without one, by what the body begins with.
    ///
    /// # Errors
    /// 415 for a content type that is none of these.
    pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Result<Self, Problem> {
        let Some(value) = headers.get(CONTENT_TYPE) else {
            let first = without_mark(body).iter().find(|byte| !byte.is_ascii_whitespace());
            return Ok(if matches!(first, Some(b'{' | b'[')) {
                Self::Json
            } else {
                Self::Text
            });
        };
        let essence = value
            .to_str()
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        let is = |names: &[&str]| names.iter().any(|name| essence.eq_ignore_ascii_case(name));
        if is(&["application/json"]) {
            Ok(Self::Json)
        } else if is(&[
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
            "application/x-jsonlines",
        ]) {
            Ok(Self::Ndjson)
        } else if is(&["text/plain"]) {
            Ok(Self::Text)
        } else {
            Err(
                Problem::unsupported_media_type("the body's content type is not one that this route reads")
                    .field("content-type", ALLOWED),
            )
        }
    }
}

/// The body without a byte order mark.
pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}
