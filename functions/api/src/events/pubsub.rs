//! `POST /api/ingest/pubsub`: a log sink of Google Cloud, by way of a Pub/Sub push subscription.

#![expect(dead_code, reason = "what describes the body is never made")]

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use threatstream_backend::{Durability, Record};
use threatstream_detection::decode::Format;
use threatstream_domain::{MAX_EVENT_BYTES, derived_id, truncated};
use threatstream_runtime::extract::body_problem;
use threatstream_runtime::{Principal, Problem, PushEnvelope};
use utoipa::ToSchema;

use super::admission::{Admission, Stamp};
use super::append;
use super::identity::Naming;
use crate::api::Api;
use crate::failure;

/// What Pub/Sub pushes.
#[derive(ToSchema)]
pub(crate) struct PubSubPush {
    message: PubSubMessage,
    /// Which subscription pushes.
    #[schema(example = "projects/p/subscriptions/threatstream-cloud-logging")]
    subscription: Option<String>,
}

/// A message of Pub/Sub.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
struct PubSubMessage {
    /// A LogEntry of Cloud Logging as JSON, in base64.
    #[schema(example = "eyJpbnNlcnRJZCI6IjEifQ==")]
    data: String,
    /// Names the event when the entry has no `insertId`.
    #[schema(example = "2070443601311540")]
    message_id: String,
    publish_time: Option<String>,
    #[schema(value_type = Option<Object>)]
    attributes: Option<()>,
}

/// Hand in a log entry of Google Cloud
///
/// The push endpoint of a subscription to a Cloud Logging sink: one message is one event, known by its `logName`, `timestamp` and `insertId`.
/// A message that can never be taken is kept among the dead letters and answered 204 as well, since Pub/Sub would send it again for days.
#[utoipa::path(
    post, path = "/api/ingest/pubsub", tag = "events",
    request_body(content((PubSubPush = "application/json"))),
    responses((status = 204, description = "The log has the event, or the message is among the dead letters"))
)]
pub(crate) async fn ingest_pubsub(
    State(api): State<Arc<Api>>,
    principal: Principal,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    api.config.push.authorize(&headers, api.clock.now().as_millis())?;
    let body = body.map_err(|rejection| body_problem(&rejection))?;
    match event(&api, &principal, &body) {
        Ok(records) => {
            append(&api, records).await.map_err(failure::backend)?;
            api.wake.up(&api.backends, &api.clock).await;
        }
        Err(reason) => keep(&api, &body, &reason).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The message's event as a record, or why there is none in it.
fn event(api: &Api, principal: &Principal, body: &[u8]) -> Result<Vec<Record>, String> {
    let envelope = PushEnvelope::from_json(body).map_err(|problem| problem.to_string())?;
    let raw = String::from_utf8_lossy(&envelope.data);
    if raw.trim_ascii().is_empty() {
        return Err("message.data: holds no event".to_owned());
    }
    let stamp = Stamp {
        format: Format::Auto,
        received_at: api.clock.now(),
        sender: principal.name.clone(),
        naming: Naming::Given(format!("pubsub-{}", envelope.message_id)),
    };
    let mut records = Vec::new();
    let outcome = {
        let mut admission = Admission::new(stamp, |chunk| {
            records.extend(chunk);
            true
        });
        admission.text(1, &raw);
        admission.finish()
    };
    api.meters.count(&outcome);
    match outcome.reason() {
        Some(reason) => Err(format!("message.data: {reason}")),
        None => Ok(records),
    }
}

/// Keeps the push among the dead letters.
async fn keep(api: &Api, body: &[u8], reason: &str) -> Result<(), Problem> {
    tracing::warn!(reason, "a push that is no event went to the dead letters");
    let text = String::from_utf8_lossy(body);
    let header = |name: &str, value: String| (name.to_owned(), Bytes::from(value));
    let record = Record {
        key: derived_id("DEAD", &[&text]),
        value: Bytes::copy_from_slice(truncated(&text, MAX_EVENT_BYTES).as_bytes()),
        headers: vec![
            header("dead-letter-reason", truncated(reason, 1024).to_owned()),
            header("dead-letter-source", "pubsub".to_owned()),
        ],
    };
    let topic = &api.backends.topics.dead_letters;
    let log = &api.backends.log;
    log.append(topic, vec![record], Durability::Promised)
        .await
        .map_err(failure::backend)?;
    Ok(())
}
