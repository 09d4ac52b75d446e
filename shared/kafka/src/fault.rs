//! What librdkafka and the brokers say, as errors of the traits: try again, or give up.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use threatstream_backend::BackendError;

/// How this backend names itself in errors.
pub(crate) const BACKEND: &str = "kafka";

/// It will never work this way.
pub(crate) fn rejected(message: impl Into<String>) -> BackendError {
    BackendError::Rejected {
        backend: BACKEND,
        message: message.into(),
    }
}

/// It may work later.
pub(crate) fn unavailable(message: impl Into<String>) -> BackendError {
    BackendError::Unavailable {
        backend: BACKEND,
        message: message.into(),
    }
}

/// The topic is not there, or not for this key to see.
pub(crate) fn unknown_topic(topic: &str) -> BackendError {
    rejected(format!("there is no topic {topic}: create it (terraform apply)"))
}

/// What a broker or librdkafka answered to `doing` something with a topic.
pub(crate) fn from_code(code: Code, doing: &str, topic: &str) -> BackendError {
    match code {
        Code::ThrottlingQuotaExceeded => BackendError::Full {
            backend: BACKEND,
            message: format!("{doing} {topic}: {code}"),
        },
        code if is_final(code) => rejected(format!("{doing} {topic}: {code}")),
        code => unavailable(format!("{doing} {topic}: {code}")),
    }
}

/// The same for whatever rdkafka wraps it in.
pub(crate) fn from_error(error: &KafkaError, doing: &str, topic: &str) -> BackendError {
    match error {
        // These never reach a broker.
        KafkaError::Nul(_) => rejected(format!("{doing} {topic:?}: the name contains a zero byte")),
        KafkaError::ClientConfig(_, reason, name, _) => rejected(format!("setting {name}: {reason}")),
        KafkaError::ClientCreation(reason) => rejected(format!("a client cannot be made: {reason}")),
        error => match error.rdkafka_error_code() {
            Some(code) => from_code(code, doing, topic),
            None => unavailable(format!("{doing} {topic}: {error}")),
        },
    }
}

/// Whether the same call with the same configuration fails for ever.
fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::SecurityDisabled
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::UnknownPartition
            | Code::InvalidTopic
            | Code::InvalidGroupId
            | Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::InvalidRequiredAcks
            | Code::InvalidConfig
            | Code::PolicyViolation
            | Code::UnsupportedVersion
            | Code::UnsupportedForMessageFormat
            | Code::UnsupportedCompressionType
            | Code::UnsupportedFeature
            | Code::InvalidArgument
    )
}

/// Whether a broker does not know the topic. Brokers say so of topics that exist, too, for as long as they have not heard of them:
/// after an election, or when a broker has just started. So this alone is no reason to give up.
pub(crate) fn is_unknown_topic(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownTopicId
    )
}

/// Whether the credentials were refused.
pub(crate) fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_whether_to_try_again() {
        for code in [
            Code::MessageTimedOut,
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::NotEnoughReplicas,
            Code::LeaderNotAvailable,
            Code::OutOfOrderSequenceNumber,
            Code::KafkaStorageError,
            Code::ThrottlingQuotaExceeded,
            Code::Fatal,
            Code::QueueFull,
            // Of a topic that was never seen nobody asks more than whether it is there.
            Code::UnknownTopicOrPartition,
            Code::UnknownTopic,
        ] {
            assert!(from_code(code, "appending to", "t").is_retryable(), "{code:?}");
        }
        for code in [
            Code::MessageSizeTooLarge,
            Code::TopicAuthorizationFailed,
            Code::SaslAuthenticationFailed,
            Code::Authentication,
            Code::InvalidRecord,
        ] {
            assert!(!from_code(code, "appending to", "t").is_retryable(), "{code:?}");
        }
    }

    #[test]
    fn a_missing_topic_is_named() {
        assert!(is_unknown_topic(Code::UnknownTopicOrPartition));
        assert_eq!(
            unknown_topic("security.raw.logs").to_string(),
            "kafka refused: there is no topic security.raw.logs: create it (terraform apply)"
        );
    }
}
