//! The envelope of a push, and the task in it.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::extract::{body_problem, from_json};
use crate::problem::Problem;

/// Longest message id, in bytes; Pub/Sub's own have about 17.
const MAX_ID: usize = 256;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const FOR_URLS: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// A message as a push subscription delivers it, unwrapped: `{message: {data, attributes, messageId, publishTime}, subscription,
/// deliveryAttempt}`.
///
/// As an extractor it reads the body whatever its media type. Rejections: 413 too large, 400 not JSON or no object, 422 another shape;
/// they name the field. The sender of a refused envelope sends it again, until the subscription's dead-letter policy ends that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushEnvelope {
    /// The message's bytes, decoded; empty where it has attributes alone.
    pub data: Bytes,
    /// The message's attributes.
    pub attributes: BTreeMap<String, String>,
    /// Pub/Sub's id of the message, the same at every delivery; 1 to 256 bytes without control characters.
    pub message_id: String,
    /// When Pub/Sub took the message, as it says it.
    pub publish_time: Option<String>,
    /// `projects/…/subscriptions/…`.
    pub subscription: Option<String>,
    /// Which delivery this is, about, from 1. Counted only where the subscription has a dead-letter policy.
    pub delivery_attempt: Option<u32>,
}

/// A task as a queue published it, with what a delivery knows. The fields are those of a queue's task and delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedTask {
    /// Which queue, from the attribute `queue`.
    pub queue: String,
    /// The task's id, from the attribute `task_id`.
    pub id: String,
    /// What to do: the message's data.
    pub payload: serde_json::Value,
    /// Which attempt this is, about, from 1; always 1 where the subscription has no dead-letter policy.
    pub attempt: u32,
}

/// Pub/Sub sends some names in both spellings at once, so that each needs a field of its own.
#[derive(Deserialize)]
struct Wire {
    message: WireMessage,
    subscription: Option<String>,
    #[serde(rename = "deliveryAttempt")]
    delivery_attempt: Option<u32>,
    #[serde(rename = "delivery_attempt")]
    delivery_attempt_snake: Option<u32>,
}

#[derive(Deserialize)]
struct WireMessage {
    data: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
    #[serde(rename = "messageId")]
    message_id: Option<String>,
    #[serde(rename = "message_id")]
    message_id_snake: Option<String>,
    #[serde(rename = "publishTime")]
    publish_time: Option<String>,
    #[serde(rename = "publish_time")]
    publish_time_snake: Option<String>,
    #[serde(rename = "deliveryAttempt")]
    delivery_attempt: Option<u32>,
}

impl PushEnvelope {
    /// Reads the body of a push.
    ///
    /// # Errors
    /// 400 when it is no JSON object, 422 when a field is missing or is not what it must be; they name the field.
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let Wire {
            message,
            subscription,
            delivery_attempt,
            delivery_attempt_snake,
        } = from_json(body)?;
        let message_id = message.message_id.or(message.message_id_snake).unwrap_or_default();
        if message_id.is_empty() || message_id.len() > MAX_ID || message_id.contains(char::is_control) {
            return Err(refused("message.messageId", "expected 1 to 256 bytes of text"));
        }
        let delivery_attempt = delivery_attempt
            .or(delivery_attempt_snake)
            .or(message.delivery_attempt)
            .filter(|attempt| *attempt > 0);
        Ok(Self {
            data: decoded(message.data.as_deref().unwrap_or_default())?,
            attributes: message.attributes.unwrap_or_default(),
            message_id,
            publish_time: message.publish_time.or(message.publish_time_snake),
            subscription,
            delivery_attempt,
        })
    }

    /// The task of `queue` that the message holds.
    ///
    /// # Errors
    /// 422 when an attribute is missing, the task is another queue's, or the data is not JSON; sending it again changes nothing.
    pub fn task(&self, queue: &str) -> Result<PushedTask, Problem> {
        match self.attributes.get("queue") {
            Some(named) if named == queue => {}
            Some(named) => {
                let message = format!("expected {queue}, this is for {}", named.escape_debug());
                return Err(refused("message.attributes.queue", message));
            }
            None => return Err(refused("message.attributes.queue", format!("expected {queue}"))),
        }
        let id = self.attributes.get("task_id").filter(|id| !id.is_empty());
        let Some(id) = id else {
            return Err(refused("message.attributes.task_id", "expected the task's id"));
        };
        let payload = serde_json::from_slice(&self.data)
            .map_err(|error| refused("message.data", format!("expected a task's payload as JSON: {error}")))?;
        Ok(PushedTask {
            queue: queue.to_owned(),
            id: id.clone(),
            payload,
            attempt: self.delivery_attempt.unwrap_or(1),
        })
    }

    /// The message under a task's names, for the dead letters, when [`task`](Self::task) finds none in it: the id follows from Pub/Sub's
    /// own, the payload is the data as text.
    #[must_use]
    pub fn undeliverable(&self, queue: &str) -> PushedTask {
        PushedTask {
            queue: queue.to_owned(),
            id: format!("push-{}", self.message_id),
            payload: String::from_utf8_lossy(&self.data).into(),
            attempt: self.delivery_attempt.unwrap_or(1),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for PushEnvelope {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| body_problem(&rejection))?;
        Self::from_json(&body)
    }
}

/// Either alphabet, padded or not: so the JSON form of protocol buffers has it.
fn decoded(data: &str) -> Result<Bytes, Problem> {
    let engine = if data.contains(['-', '_']) { &FOR_URLS } else { &PLAIN };
    let bytes = engine
        .decode(data)
        .map_err(|error| refused("message.data", format!("is not base64: {error}").to_lowercase()))?;
    Ok(bytes.into())
}

fn refused(field: &str, message: impl Into<String>) -> Problem {
    Problem::unprocessable("the push is not an envelope that is understood here").field(field, message)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_envelope_as_pubsub_sends_it() {
        // Both spellings at once, and fields that are not ours.
        let body = json!({
            "deliveryAttempt": 5,
            "message": {
                "attributes": {"queue": "respond", "task_id": "r-1", "googclient_schemaencoding": "JSON"},
                "data": STANDARD.encode(r#"{"threat_id":"t"}"#),
                "messageId": "2070443601311540",
                "message_id": "2070443601311540",
                "orderingKey": "k",
                "publishTime": "2021-02-26T19:13:55.749Z",
                "publish_time": "2021-02-26T19:13:55.749Z",
            },
            "subscription": "projects/p/subscriptions/threatstream-respond",
        });
        let envelope = PushEnvelope::from_json(body.to_string().as_bytes()).unwrap();
        assert_eq!(envelope.message_id, "2070443601311540");
        assert_eq!(envelope.publish_time.as_deref(), Some("2021-02-26T19:13:55.749Z"));
        assert_eq!(
            envelope.subscription.as_deref(),
            Some("projects/p/subscriptions/threatstream-respond")
        );
        let task = PushedTask {
            queue: "respond".to_owned(),
            id: "r-1".to_owned(),
            payload: json!({"threat_id": "t"}),
            attempt: 5,
        };
        assert_eq!(envelope.task("respond").unwrap(), task);
        let problem = envelope.task("drain").unwrap_err();
        assert_eq!(problem.errors()[0].field, "message.attributes.queue");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, status, field) in [
            ("", 400, "body"),
            ("[]", 400, "body"),
            ("{}", 422, "message"),
            (r#"{"message": []}"#, 422, "message"),
            (r#"{"message": {}}"#, 422, "message.messageId"),
            (r#"{"message": {"messageId": ""}}"#, 422, "message.messageId"),
            (r#"{"message": {"messageId": "a\u0000"}}"#, 422, "message.messageId"),
            (r#"{"message": {"messageId": 5}}"#, 422, "message.messageId"),
            (r#"{"message": {"messageId": "1", "data": "*"}}"#, 422, "message.data"),
            (
                r#"{"message": {"messageId": "1", "attributes": {"a": 1}}}"#,
                422,
                "message.attributes.a",
            ),
            (
                r#"{"message": {"messageId": "1"}, "deliveryAttempt": -1}"#,
                422,
                "deliveryAttempt",
            ),
        ] {
            let problem = PushEnvelope::from_json(body.as_bytes()).unwrap_err();
            assert_eq!(
                (problem.status().as_u16(), problem.errors()[0].field.as_str()),
                (status, field),
                "{body}: {problem}"
            );
        }
    }

    #[test]
    fn a_message_that_is_no_task_says_so() {
        for (attributes, data, field) in [
            (json!(null), "{}", "message.attributes.queue"),
            (json!({"queue": "respond"}), "{}", "message.attributes.task_id"),
            (
                json!({"queue": "respond", "task_id": ""}),
                "{}",
                "message.attributes.task_id",
            ),
            (json!({"queue": "respond", "task_id": "1"}), "", "message.data"),
            (json!({"queue": "respond", "task_id": "1"}), "{} x", "message.data"),
        ] {
            let body = json!({"message": {"messageId": "1", "attributes": attributes, "data": STANDARD.encode(data)}});
            let envelope = PushEnvelope::from_json(body.to_string().as_bytes()).unwrap();
            let problem = envelope.task("respond").unwrap_err();
            assert_eq!(problem.errors()[0].field, field, "{problem}");
            let dead = envelope.undeliverable("respond");
            assert_eq!(
                (dead.id.as_str(), dead.payload, dead.attempt),
                ("push-1", json!(data), 1)
            );
        }
    }

    proptest! {
        #[test]
        fn data_comes_out_as_it_went_in(data: Vec<u8>, for_urls: bool, key in ".*", value in ".*") {
            let text = if for_urls { URL_SAFE_NO_PAD.encode(&data) } else { STANDARD.encode(&data) };
            let body = json!({"message": {"message_id": "7", "data": text, "attributes": {&key: &value}}});
            let envelope = PushEnvelope::from_json(body.to_string().as_bytes()).unwrap();
            prop_assert_eq!(&envelope.data[..], &data[..]);
            prop_assert_eq!(envelope.attributes.get(&key), Some(&value));
            prop_assert_eq!(envelope.delivery_attempt, None);
        }

        #[test]
        fn anything_else_is_a_problem_and_no_panic(body in r#"\{"message":\{("[a-zA-Z]{0,9}":[0-9"{}\[\]a-z]{0,9},?){0,4}\}?\}?"#) {
            if let Err(problem) = PushEnvelope::from_json(body.as_bytes()) {
                prop_assert!(problem.status().is_client_error() && !problem.errors().is_empty());
            }
        }
    }
}
