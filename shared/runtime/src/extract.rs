//! Extractors whose rejections are problems that name the field.

mod strict;
mod wording;

use std::error::Error;

use axum::body::Bytes;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::guard::encoding::BrokenGzip;
use crate::guard::query;
use crate::problem::Problem;
use strict::{OBJECT, Strict};
use wording::{expectation, plain};

/// A JSON body; as a response, a JSON response.
///
/// Rejections: 413 too large, 415 not `application/json`, 400 not JSON, nested deeper than 128 levels, or no object where `T` is a struct;
/// 422 JSON of another shape. Structs are objects at every depth; an array is not taken for one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if !is_json(media_type) {
            return Err(
                Problem::unsupported_media_type("the body must be sent as application/json")
                    .field("content-type", "expected application/json"),
            );
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| body_problem(&rejection))?;
        from_json(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// Parses JSON as the [`Json`] extractor does, for bodies that come another way.
///
/// # Errors
/// 400 when it is no JSON, or no object where `T` is a struct; 422 when it is JSON of another shape; all name the field where there is one.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Strict(&mut deserializer)).map_err(|error| {
        let path = error.path().to_string();
        json_problem(&path, error.inner())
    })?;
    deserializer.end().map_err(|error| json_problem(".", &error))?;
    Ok(value)
}

fn json_problem(path: &str, error: &serde_json::Error) -> Problem {
    let (message, path) = (plain(&error.to_string()), known(path));
    match error.classify() {
        Category::Data if path == "." && message.contains(&format!(", expected {OBJECT} at line ")) => {
            Problem::bad_request("the body must be a JSON object").field("body", message)
        }
        Category::Data => {
            Problem::unprocessable("the body has a value that is not allowed").field(field_of(path, &message), message)
        }
        Category::Syntax | Category::Eof | Category::Io => {
            Problem::bad_request("the body is not valid JSON").field(if path == "." { "body" } else { path }, message)
        }
    }
}

/// The path without the key that was not read to its end.
fn known(path: &str) -> &str {
    match path.strip_suffix('?') {
        Some("") => ".",
        Some(above) => above.strip_suffix('.').unwrap_or(path),
        None => path,
    }
}

/// What a body that could not be read is answered with: 413 when it is too large, 400 when the sender broke off or its gzip is broken.
#[must_use]
pub fn body_problem(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::payload_too_large("the body is larger than this route takes").field("body", "too large")
    } else {
        let mut cause = Some(rejection as &dyn Error);
        let mut message = "broken off, or not encoded as its headers say".to_owned();
        while let Some(error) = cause {
            if let Some(broken) = error.downcast_ref::<BrokenGzip>() {
                message = broken.to_string();
            }
            cause = error.source();
        }
        Problem::bad_request("the body could not be read").field("body", message)
    }
}

/// Parameters of the query string. A type with `deny_unknown_fields` refuses unknown ones, naming what is allowed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        query::mark_read(&parts.extensions);
        from_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Parses a query string as the [`Query`] extractor does.
///
/// # Errors
/// 400 that names the parameter.
pub fn from_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let deserializer = serde_urlencoded::Deserializer::new(form_pairs(query));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let message = plain(&error.inner().to_string());
        let field = field_of(&error.path().to_string(), &message);
        Problem::bad_request("the query has a parameter that is not allowed").field(field, message)
    })
}

fn form_pairs(query: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.as_bytes())
}

/// Parameters of the path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(failure)) => Err(path_problem(failure.into_kind())),
            // The router and the handler disagree about the parameters: a mistake of ours.
            Err(_) => Err(Problem::internal("the request could not be processed")),
        }
    }
}

fn path_problem(kind: ErrorKind) -> Problem {
    let wrong = || Problem::bad_request("the path has a parameter that is not allowed");
    match kind {
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
            wrong().field(key, format!("expected {}", expectation(expected_type)))
        }
        ErrorKind::ParseErrorAtIndex {
            index, expected_type, ..
        } => wrong().field(
            format!("path[{index}]"),
            format!("expected {}", expectation(expected_type)),
        ),
        ErrorKind::ParseError { expected_type, .. } => {
            wrong().field("path", format!("expected {}", expectation(expected_type)))
        }
        ErrorKind::InvalidUtf8InPathParam { key } => wrong().field(key, "is not valid UTF-8"),
        ErrorKind::DeserializeError { key, message, .. } => wrong().field(key, plain(&message)),
        ErrorKind::Message(message) => wrong().field("path", plain(&message)),
        _ => Problem::internal("the request could not be processed"),
    }
}

/// The field's path. Serde reports an unknown, missing or doubled field at the object that has it, and its name in the message alone.
fn field_of(path: &str, message: &str) -> String {
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .and_then(|rest| rest.split('`').next());
    match (path, named) {
        (".", Some(name)) => name.to_owned(),
        (".", None) => "body".to_owned(),
        (path, Some(name)) if path != name && !path.ends_with(&format!(".{name}")) => format!("{path}.{name}"),
        (path, _) => path.to_owned(),
    }
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let Some((kind, subtype)) = essence.split_once('/') else {
        return false;
    };
    kind.eq_ignore_ascii_case("application")
        && (subtype.eq_ignore_ascii_case("json") || subtype.to_ascii_lowercase().ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the shape matters")]
    struct Listing {
        limit: Option<u16>,
        severity: Option<Severity>,
        tags: Option<Vec<Tag>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    enum Severity {
        High,
        Low,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the shape matters")]
    struct Tag {
        port: u16,
    }

    #[test]
    fn json_names_the_field() {
        for (body, status, field, says) in [
            ("{\"limit\": 99999999}", 422, "limit", "99999999"),
            ("{\"severity\": \"ODD\"}", 422, "severity", "`HIGH` or `LOW`"),
            (
                "{\"tags\": [{\"port\": 1}, {\"port\": -1}]}",
                422,
                "tags[1].port",
                "expected a whole number from 0 to 65535",
            ),
            ("{\"tags\": [{}]}", 422, "tags[0].port", "missing"),
            ("{\"colour\": 1}", 422, "colour", "expected one of `limit`"),
            ("{\"limit\": 1, \"limit\": 2}", 422, "limit", "duplicate"),
            ("{\"limit\": ", 400, "limit", "EOF"),
            ("{", 400, "body", "EOF"),
            ("{\"lim", 400, "body", "EOF"),
            ("{\"tags\": [{\"po", 400, "tags[0]", "EOF"),
            ("{\"tags\": [[80]]}", 422, "tags[0]", "expected an object"),
            ("[]", 400, "body", "expected an object"),
            (" \n[1]", 400, "body", "expected an object"),
            ("null", 400, "body", "expected an object"),
            ("{\"limit\": 1} x", 400, "body", "trailing"),
            ("\u{0}", 400, "body", "expected value"),
            ("", 400, "body", "EOF"),
            ("7", 400, "body", "expected an object"),
        ] {
            let problem = from_json::<Listing>(body.as_bytes()).unwrap_err();
            let error = &problem.errors()[0];
            assert_eq!(
                (problem.status().as_u16(), error.field.as_str()),
                (status, field),
                "{body}: {problem}"
            );
            assert!(error.message.contains(says), "{body}: {problem}");
            assert!(!problem.to_string().contains("struct"), "{body}: {problem}");
        }
        assert!(from_json::<Vec<u8>>(b"[1]").is_ok() && from_json::<serde_json::Value>(b"[]").is_ok());
    }

    #[test]
    fn deep_nesting_is_refused_without_a_deep_stack() {
        for body in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
            let problem = from_json::<serde_json::Value>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
            assert!(problem.errors()[0].message.contains("recursion limit"), "{problem}");
            // Values that no field wants are skipped by another path of the parser.
            let ignored = format!("{{\"x\": {body}");
            assert_eq!(
                from_json::<Tag>(ignored.as_bytes()).unwrap_err().status(),
                StatusCode::BAD_REQUEST
            );
        }
    }

    #[test]
    fn a_huge_value_is_not_repeated() {
        let body = format!("{{\"severity\": \"{}\"}}", "A".repeat(1_000_000));
        assert!(from_json::<Listing>(body.as_bytes()).unwrap_err().to_string().len() < 600);
    }

    #[test]
    fn query_names_the_parameter() {
        for (query, field, says) in [
            ("limit=many", "limit", "invalid digit"),
            ("severity=odd", "severity", "`HIGH` or `LOW`"),
            ("colour=red", "colour", "expected one of `limit`"),
            ("limit=1&limit=2", "limit", "duplicate"),
            ("limit=", "limit", "empty"),
        ] {
            let problem = from_query::<Listing>(query).unwrap_err();
            let error = &problem.errors()[0];
            assert_eq!(
                (problem.status().as_u16(), error.field.as_str()),
                (400, field),
                "{query}: {problem}"
            );
            assert!(error.message.contains(says), "{query}: {problem}");
        }
        assert_eq!(from_query::<Listing>("limit=5&severity=LOW").unwrap().limit, Some(5));
    }

    #[test]
    fn media_types() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/cloudevents+json", true),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(is_json(value), json, "{value}");
        }
    }
}
