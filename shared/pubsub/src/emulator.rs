//! Topics and subscriptions, made on an emulator: nobody else makes them there.

use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::Error;
use google_cloud_pubsub::model::DeadLetterPolicy;
use threatstream_backend::{BackendError, RetryPolicy};

use crate::clients::Clients;
use crate::fault;
use crate::names::Names;

/// How often Pub/Sub can be told to try before it forwards to the dead topic.
const ATTEMPTS: std::ops::RangeInclusive<u32> = 5..=100;
const ACK_DEADLINE_SECS: i32 = 10;

/// Makes what is missing of a queue, as infrastructure makes it for real.
pub(crate) async fn prepare(clients: &Clients, names: &Names, policy: &RetryPolicy) -> Result<(), BackendError> {
    for topic in [&names.dead_topic, &names.topic] {
        let created = clients.topics.create_topic().set_name(topic).send().await;
        made(created)?;
    }
    let dead = clients
        .subscriptions
        .create_subscription()
        .set_name(&names.dead_subscription)
        .set_topic(&names.dead_topic)
        .set_ack_deadline_seconds(ACK_DEADLINE_SECS)
        .send()
        .await;
    made(dead)?;
    let attempts = policy.max_attempts.clamp(*ATTEMPTS.start(), *ATTEMPTS.end());
    let forwarding = DeadLetterPolicy::new()
        .set_dead_letter_topic(&names.dead_topic)
        .set_max_delivery_attempts(i32::try_from(attempts).unwrap_or(i32::MAX));
    let queue = clients
        .subscriptions
        .create_subscription()
        .set_name(&names.subscription)
        .set_topic(&names.topic)
        .set_ack_deadline_seconds(ACK_DEADLINE_SECS)
        .set_dead_letter_policy(forwarding)
        .send()
        .await;
    made(queue)
}

fn made<T>(created: Result<T, Error>) -> Result<(), BackendError> {
    match created {
        Ok(_) => Ok(()),
        Err(error) if error.status().is_some_and(|status| status.code == Code::AlreadyExists) => Ok(()),
        Err(error) => Err(fault::sdk(&error)),
    }
}
