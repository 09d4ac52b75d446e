//! Parameters that nobody reads.
//!
//! An unknown parameter is an error of the caller's: answered as if it had been understood, `?severty=HIGH` shows every severity.
//! Routes with parameters refuse unknown ones by themselves, by what they extract. Here are those without. A handler does not say what it
//! extracts, so that a reading request is answered first and the answer withheld if nothing looked at the query. What changes something
//! cannot be taken back and is refused before, unless its route was named to [`Function::queries`](crate::Function::queries).
//!
//! Only under `/api/`: the address of a page may carry parameters for its scripts, and that of a push endpoint those of its sender.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;
use axum::response::Response;
use http::Extensions;

use super::admission::is_safe;
use crate::function::RouteRule;
use crate::problem::Problem;

/// Where the API is.
pub(super) const API: &str = "/api/";

/// Becomes true when the query is read.
#[derive(Clone, Default)]
struct Read(Arc<AtomicBool>);

/// Says that the query is read; unknown parameters are the reader's business from now on.
pub(crate) fn mark_read(extensions: &Extensions) {
    if let Some(Read(read)) = extensions.get() {
        read.store(true, Ordering::Relaxed);
    }
}

/// A request's query, until it is answered.
pub(super) struct Asked(Option<(Read, Problem)>);

/// Lets the request pass, or refuses it.
pub(super) fn admit(rule: Option<RouteRule>, request: &mut Request) -> Result<Asked, Problem> {
    let query = request.uri().query().unwrap_or_default();
    let first = form_urlencoded::parse(query.as_bytes()).next();
    let (Some((name, _)), Some(rule), true) = (first, rule, request.uri().path().starts_with(API)) else {
        return Ok(Asked(None));
    };
    let problem = Problem::bad_request("the query has a parameter that is not allowed")
        .field(name, "unknown parameter; this route takes none");
    if is_safe(request.method()) {
        let read = Read::default();
        request.extensions_mut().insert(read.clone());
        Ok(Asked(Some((read, problem))))
    } else if rule.queries || rule.ingest {
        Ok(Asked(None))
    } else {
        Err(problem)
    }
}

impl Asked {
    /// The answer, unless it is one to another question.
    pub(super) fn answer(self, response: Response) -> Result<Response, Problem> {
        match self.0 {
            Some((Read(read), problem)) if response.status().is_success() && !read.load(Ordering::Relaxed) => {
                Err(problem)
            }
            _ => Ok(response),
        }
    }
}
