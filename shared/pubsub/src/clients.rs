//! The clients, made at first use.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use google_cloud_auth::credentials::{self, Credentials, anonymous};
use google_cloud_gax::retry_policy::{RetryPolicy, RetryPolicyExt};
use google_cloud_gax::retry_result::RetryResult;
use google_cloud_gax::retry_state::RetryState;
use google_cloud_pubsub::client::{BasePublisher, Publisher, SubscriptionAdmin, TopicAdmin};
use google_cloud_pubsub::model::Message;
use threatstream_backend::BackendError;
use tokio::time::timeout;

use crate::fault;
use crate::puller::Puller;

/// How long a call may take, its retries included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a message waits for others to go with it. Whoever publishes awaits it.
const GATHER: Duration = Duration::from_millis(1);
const GOOGLE: &str = "https://pubsub.googleapis.com";

/// One of the SDK's clients. Their builders have the same methods, and no trait that says so.
macro_rules! client {
    ($kind:ident, $endpoint:expr, $credentials:expr) => {
        $kind::builder()
            .with_endpoint($endpoint.clone())
            .with_credentials($credentials.clone())
            .with_retry_policy(patiently())
            .build()
            .await
            .map_err(|error| fault::building(&error))
    };
}

/// Everything that talks to Pub/Sub.
pub(crate) struct Clients {
    pub(crate) topics: TopicAdmin,
    pub(crate) subscriptions: SubscriptionAdmin,
    pub(crate) puller: Puller,
    publisher: BasePublisher,
    by_topic: Mutex<HashMap<String, Publisher>>,
}

impl Clients {
    /// Makes the clients; connections are made by the first call.
    pub(crate) async fn new(emulator_host: Option<&str>) -> Result<Self, BackendError> {
        // A provider that somebody has installed already serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (endpoint, credentials) = match emulator_host {
            Some(host) => (format!("http://{host}"), anonymous::Builder::new().build()),
            None => (GOOGLE.to_owned(), default_credentials()?),
        };
        Ok(Self {
            topics: client!(TopicAdmin, endpoint, credentials)?,
            subscriptions: client!(SubscriptionAdmin, endpoint, credentials)?,
            publisher: client!(BasePublisher, endpoint, credentials)?,
            puller: Puller::new(&endpoint, credentials)?,
            by_topic: Mutex::default(),
        })
    }

    /// Publishes the messages and awaits the server's word on each. After an error some may have been published.
    pub(crate) async fn publish(&self, topic: &str, messages: Vec<Message>) -> Result<(), BackendError> {
        let publisher = self.publisher_of(topic);
        // All are handed over first, so that they travel together.
        let published: Vec<_> = messages.into_iter().map(|message| publisher.publish(message)).collect();
        let all = async {
            for message in published {
                message.await.map_err(|error| fault::publishing(&error))?;
            }
            Ok(())
        };
        match timeout(PATIENCE, all).await {
            Ok(published) => published,
            Err(_) => Err(fault::unavailable(format!(
                "{topic} took no message within {PATIENCE:?}"
            ))),
        }
    }

    fn publisher_of(&self, topic: &str) -> Publisher {
        let mut by_topic = self.by_topic.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(publisher) = by_topic.get(topic) {
            return publisher.clone();
        }
        let publisher = self.publisher.publisher(topic).set_delay_threshold(GATHER).build();
        by_topic.insert(topic.to_owned(), publisher.clone());
        publisher
    }
}

fn default_credentials() -> Result<Credentials, BackendError> {
    credentials::Builder::default()
        .build()
        .map_err(|error| fault::unavailable(format!("no credentials of Google Cloud: {error}")))
}

/// Publishing twice is what handlers are made for, and creating twice is told apart: every call may be repeated.
#[derive(Debug)]
struct Repeatable;

impl RetryPolicy for Repeatable {
    fn on_error(&self, _state: &RetryState, error: google_cloud_pubsub::Error) -> RetryResult {
        if fault::passes_soon(&error) {
            RetryResult::Continue(error)
        } else {
            RetryResult::Permanent(error)
        }
    }
}

fn patiently() -> impl RetryPolicy {
    Repeatable.with_time_limit(PATIENCE)
}
