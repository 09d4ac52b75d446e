//! What librdkafka tells beside its answers: log lines and errors of connections.

use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use threatstream_backend::BackendError;

use crate::fault::{is_refusal, rejected, unavailable};
use crate::producer::Delivery;

/// The last thing that went wrong with a connection, shared by the clients of a log. A request that meets it only ever times out;
/// this is the reason why.
#[derive(Default)]
pub(crate) struct Trouble(Mutex<Option<(RDKafkaErrorCode, String)>>);

impl Trouble {
    fn note(&self, code: RDKafkaErrorCode, reason: &str) {
        let mut last = self.0.lock();
        // That all brokers are down follows from what was said of each, and says less.
        if code == RDKafkaErrorCode::AllBrokersDown && last.is_some() {
            return;
        }
        *last = Some((code, reason.to_owned()));
    }

    /// A request succeeded: what was wrong is over.
    pub(crate) fn is_over(&self) {
        self.0.lock().take();
    }

    /// Adds the reason to an error. Refused credentials will be refused again.
    pub(crate) fn explain(&self, error: BackendError) -> BackendError {
        let BackendError::Unavailable { message, .. } = error else {
            return error;
        };
        match &*self.0.lock() {
            Some((code, reason)) if is_refusal(*code) => rejected(format!("{message} ({reason})")),
            Some((_, reason)) => unavailable(format!("{message} ({reason})")),
            None => unavailable(message),
        }
    }
}

/// One client's ear.
pub(crate) struct Context {
    /// What the client is for, as `producer`.
    client: &'static str,
    trouble: Arc<Trouble>,
}

impl Context {
    pub(crate) fn new(client: &'static str, trouble: Arc<Trouble>) -> Self {
        Self { client, trouble }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let client = self.client;
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "librdkafka", client, facility, "{message}");
            }
            // A broken connection is an "error" there, and is mended without us.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "librdkafka", client, facility, "{message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", client, facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", client, facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.trouble.note(code, reason);
        }
        tracing::warn!(target: "librdkafka", client = self.client, %error, "{reason}");
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Box<Delivery>) {
        delivery.report(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_credentials_are_final_until_a_request_succeeds() {
        let trouble = Trouble::default();
        let timed_out = || unavailable("timed out");
        assert!(trouble.explain(timed_out()).is_retryable());
        trouble.note(RDKafkaErrorCode::Authentication, "invalid credentials");
        trouble.note(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
        let error = trouble.explain(timed_out());
        assert!(!error.is_retryable());
        assert!(error.to_string().contains("invalid credentials"), "{error}");
        trouble.is_over();
        assert!(trouble.explain(timed_out()).is_retryable());
    }

    #[test]
    fn a_broken_connection_is_a_reason_and_not_final() {
        let trouble = Trouble::default();
        trouble.note(RDKafkaErrorCode::BrokerTransportFailure, "connection refused");
        let error = trouble.explain(unavailable("timed out"));
        assert_eq!(
            error.to_string(),
            "kafka is unavailable: timed out (connection refused)"
        );
    }
}
