//! `POST /api/events`: a body becomes events, and is answered once the log has them.

#![expect(unused_qualifications, reason = "in what the macro for parameters makes")]

mod admission;
mod answer;
mod body;
mod identity;
mod json;
mod lines;
mod meters;
pub(crate) mod pubsub;

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use threatstream_backend::{BackendError, Durability, Position, Record};
use threatstream_detection::decode::Format;
use threatstream_runtime::extract::body_problem;
use threatstream_runtime::{Principal, Problem, Query};
use tokio::sync::mpsc;
use utoipa::IntoParams;

use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

use admission::{Admission, Stamp};
pub(crate) use answer::Accepted;
use answer::Outcome;
use body::BodyKind;
pub(crate) use identity::FreshIds;
use identity::Naming;
pub(crate) use meters::Meters;

/// Bodies up to this many bytes are worked on where they arrive: cheaper than handing them over, and too short to hold up others.
const INLINE_BYTES: usize = 16 * 1024;

/// How the body is to be read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
#[derive(Default)]
pub(crate) struct Options {
    /// The decoder to use; `auto` asks every one.
    #[param(value_type = Option<schema::FormatName>)]
    format: Format,
}

/// Hand in events
///
/// `application/json`: one event, an array of events, or a CloudTrail file (`{"Records": […]}`); `application/x-ndjson`: one event a line;
/// `text/plain`: raw log lines. The body may be sent with `Content-Encoding: gzip`; 10 MiB at most, 256 KiB an event. What cannot be taken is
/// listed by line (by place, in an array), from 1; the rest is taken. An `Idempotency-Key` makes it safe to send events without ids of
/// their own again. Answered once the events would survive the loss of power.
#[utoipa::path(
    post, path = "/api/events", tag = "events",
    params(Options, ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, new for each new body")),
    request_body(content(
        (schema::NativeEvent = "application/json"),
        (String = "application/x-ndjson", example = "{\"event_type\":\"brute_force\",\"source_ip\":\"203.0.113.7\",\"payload\":{\"attempts\":50}}\n"),
        (String = "text/plain", example = "Mar 27 13:08:09 host sshd[1]: Failed password for root from 203.0.113.7 port 4022 ssh2\n"),
    )),
    responses(
        (status = 202, description = "The log has the accepted events", body = Accepted),
        (status = 400, description = "Nothing could be taken", body = schema::NothingAccepted, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn post_events(
    State(api): State<Arc<Api>>,
    principal: Principal,
    headers: HeaderMap,
    Query(options): Query<Options>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|rejection| body_problem(&rejection))?;
    let kind = BodyKind::of(&headers, &body)?;
    let naming = Naming::of(&headers, &principal, &api.ids)?;
    let stamp = Stamp {
        format: options.format,
        received_at: api.clock.now(),
        sender: principal.name.clone(),
        naming,
    };
    let outcome = if body.len() <= INLINE_BYTES {
        let mut records = Vec::new();
        let outcome = read(kind, &body, stamp, |chunk| {
            records.extend(chunk);
            true
        })?;
        if !records.is_empty() {
            append(&api, records).await.map_err(failure::backend)?;
        }
        outcome
    } else {
        read_large(&api, kind, body, stamp).await?
    };
    api.meters.count(&outcome);
    if outcome.accepted > 0 {
        api.wake.up(&api.backends, &api.clock).await;
    }
    outcome.into_response(kind)
}

/// Reads the whole body; full chunks of records, and the last one, go to `flush`, which says whether to go on.
fn read(kind: BodyKind, body: &[u8], stamp: Stamp, flush: impl FnMut(Vec<Record>) -> bool) -> Result<Outcome, Problem> {
    let mut admission = Admission::new(stamp, flush);
    match kind {
        BodyKind::Json => json::read(body, &mut admission)?,
        BodyKind::Ndjson => lines::read_ndjson(body, &mut admission),
        BodyKind::Text => lines::read_text(body, &mut admission),
    }
    Ok(admission.finish())
}

/// Reads on a thread of its own while what is read already goes to the log; at most two chunks are in memory.
async fn read_large(api: &Arc<Api>, kind: BodyKind, body: Bytes, stamp: Stamp) -> Result<Outcome, Problem> {
    let (sender, mut chunks) = mpsc::channel(1);
    let reading =
        tokio::task::spawn_blocking(move || read(kind, &body, stamp, |chunk| sender.blocking_send(chunk).is_ok()));
    let mut appended = 0_usize;
    while let Some(chunk) = chunks.recv().await {
        let count = chunk.len();
        // Dropping the receiver stops the reading.
        append(api, chunk).await.map_err(|error| interrupted(error, appended))?;
        appended += count;
    }
    reading.await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading a body failed");
        Err(Problem::internal("the request could not be processed"))
    })
}

/// The log failed in the middle of a large body: what it has stays, and only a key makes the retry count nothing twice.
fn interrupted(error: BackendError, appended: usize) -> Problem {
    let problem = failure::backend(error);
    if appended == 0 || !problem.status().is_server_error() {
        return problem;
    }
    let detail = format!(
        "the first {appended} events were taken, then the log failed; send the body again under its Idempotency-Key"
    );
    Problem::unavailable(detail, std::time::Duration::from_secs(5))
}

async fn append(api: &Api, records: Vec<Record>) -> Result<Vec<Position>, BackendError> {
    api.backends
        .log
        .append(&api.backends.topics.raw, records, Durability::Promised)
        .await
}

/// Appends the one event that a body holds: its id, and where it lies.
pub(crate) async fn append_one(
    api: &Api,
    principal: &Principal,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(String, Position), Problem> {
    if headers.contains_key(CONTENT_TYPE) && BodyKind::of(headers, body)? != BodyKind::Json {
        return Err(Problem::unsupported_media_type("one event must be sent as JSON")
            .field("content-type", "expected application/json"));
    }
    let naming = Naming::of(headers, principal, &api.ids)?;
    let stamp = Stamp {
        format: Format::Auto,
        received_at: api.clock.now(),
        sender: principal.name.clone(),
        naming,
    };
    let mut records = Vec::new();
    let outcome = {
        let mut admission = Admission::new(stamp, |chunk| {
            records.extend(chunk);
            true
        });
        json::read_one(body, &mut admission)?;
        admission.finish()
    };
    api.meters.count(&outcome);
    let Some(id) = records.first().map(|record| record.key.clone()) else {
        return Err(outcome.problem(BodyKind::Json));
    };
    let positions = append(api, records).await.map_err(failure::backend)?;
    api.wake.up(&api.backends, &api.clock).await;
    let position = positions
        .first()
        .copied()
        .ok_or_else(|| Problem::internal("the request could not be processed"))?;
    Ok((id, position))
}
