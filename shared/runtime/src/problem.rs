//! Errors as RFC 9457 problem+json.

use std::fmt;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// The media type of every error.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Longest text taken over from outside (a field's name, a parser's message), in bytes.
const MAX_QUOTED: usize = 200;

/// What is wrong with one field of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field, as a path such as `threats[3].source_ip`, or the name of a parameter or header.
    pub field: String,
    /// What is wrong with it, naming what is allowed.
    pub message: String,
}

/// An error as the client sees it: `{type, title, status, detail, errors?}`.
///
/// ```
/// use threatstream_runtime::Problem;
/// let problem = Problem::bad_request("the request has wrong parameters").field("limit", "expected a number from 1 to 500");
/// assert_eq!(problem.status().as_u16(), 400);
/// ```
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: &'static str,
    title: Option<&'static str>,
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
    headers: HeaderMap,
}

impl Problem {
    /// A problem of any status; `detail` is for people, and must hold nothing of the inside.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind: "about:blank",
            title: None,
            status,
            detail: detail.into(),
            errors: Vec::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// 400: the request cannot be understood; sending it again changes nothing.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: no credentials, or wrong ones.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
            .header(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: known, but not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405: the route exists for other methods.
    pub fn method_not_allowed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    }

    /// 409: the thing's state does not allow it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 412: `If-Match` names another version.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 413: the body, once decompressed, is larger than the route takes.
    pub fn payload_too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 415: the body's media type or encoding is not one that the route reads.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 422: well formed, but a value is not one that is allowed.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 429: again after `retry_after`.
    pub fn too_many_requests(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(retry_after)
    }

    /// 500: our fault. The detail must say nothing of the cause; log that.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// 503: something that is needed does not answer; again after `retry_after`.
    pub fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(retry_after)
    }

    /// Adds a field and what is wrong with it. Both are cut to 200 bytes, because they may come from the request.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.errors.push(FieldError {
            field: cut(field.into()),
            message: cut(message.into()),
        });
        self
    }

    /// Sets the problem's type URI and title; without, they are `about:blank` and the status's own phrase.
    #[must_use]
    pub fn kind(mut self, uri: &'static str, title: &'static str) -> Self {
        self.0.kind = uri;
        self.0.title = Some(title);
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The response's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The text for people.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The fields that are wrong.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// `Retry-After` in whole seconds, at least one.
    fn retry_after(self, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.header(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }
}

/// Cuts at a character's boundary.
pub(crate) fn cut(mut text: String) -> String {
    if text.len() > MAX_QUOTED {
        text.truncate(text.floor_char_boundary(MAX_QUOTED));
        text.push('…');
    }
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status, self.0.detail)?;
        self.0
            .errors
            .iter()
            .try_for_each(|FieldError { field, message }| write!(f, "; {field}: {message}"))
    }
}

impl std::error::Error for Problem {}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: &'a str,
            title: &'a str,
            status: u16,
            detail: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
        }
        let Inner {
            kind,
            title,
            status,
            detail,
            errors,
            ..
        } = &*self.0;
        let title = title.or(status.canonical_reason()).unwrap_or("Error");
        Body {
            r#type: kind,
            title,
            status: status.as_u16(),
            detail,
            errors,
        }
        .serialize(serializer)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.0.status, body).into_response();
        response.headers_mut().extend(self.0.headers);
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_as_rfc_9457_says() {
        let problem = Problem::conflict("the alert is resolved").field("status", "NEW cannot follow RESOLVED");
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "about:blank", "title": "Conflict", "status": 409, "detail": "the alert is resolved",
                "errors": [{"field": "status", "message": "NEW cannot follow RESOLVED"}],
            })
        );
        assert!(
            serde_json::to_value(Problem::not_found("x"))
                .unwrap()
                .get("errors")
                .is_none()
        );
    }

    #[test]
    fn what_comes_from_outside_is_cut_and_retry_after_is_never_zero() {
        let problem = Problem::bad_request("x").field("é".repeat(1000), "m".repeat(10_000_000));
        assert!(
            problem.errors()[0].field.len() <= MAX_QUOTED + 3 && problem.errors()[0].message.len() <= MAX_QUOTED + 3
        );
        for (after, header) in [(0, "1"), (400, "1"), (1000, "1"), (1001, "2")] {
            let response = Problem::unavailable("x", Duration::from_millis(after)).into_response();
            assert_eq!(response.headers()[RETRY_AFTER], header);
            assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        }
    }
}
