//! What a task asks for.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use threatstream_domain::truncated;
use threatstream_runtime::CancellationToken;

use crate::execution::{Engine, RunError};

/// What a task of the queue `respond` asks for, by its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// `{"threat_id": "THR-…"}`: run what answers this threat.
    Threat(String),
    /// `{"execution_id": "EXE-…"}`: go on with this execution.
    Execution(String),
}

#[derive(Deserialize, Serialize)]
struct Payload {
    threat_id: Option<String>,
    execution_id: Option<String>,
}

impl Work {
    /// Reads a payload. Fields it does not know are left to newer versions.
    pub(crate) fn parse(payload: &Value) -> Result<Self, RunError> {
        let wrong = |message: &str| RunError::Payload(truncated(message, 200).to_owned());
        let Payload {
            threat_id,
            execution_id,
        } = Payload::deserialize(payload).map_err(|error| wrong(&error.to_string()))?;
        match (threat_id, execution_id) {
            (Some(id), None) => Ok(Self::Threat(id)),
            (None, Some(id)) => Ok(Self::Execution(id)),
            _ => Err(wrong("expected either threat_id or execution_id")),
        }
    }

    pub(crate) fn payload(&self) -> Value {
        match self {
            Self::Threat(id) => json!({"threat_id": id}),
            Self::Execution(id) => json!({"execution_id": id}),
        }
    }

    /// Does it. Doing it again, or in two places at once, has the same effects once.
    pub(crate) async fn perform(&self, engine: &Engine, stop: &CancellationToken) -> Result<(), RunError> {
        match self {
            Self::Threat(id) => engine.respond(id, stop).await,
            Self::Execution(id) => engine.run(id, stop).await.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_say_one_thing() {
        assert_eq!(
            Work::parse(&json!({"threat_id": "THR-1", "new": 1})).unwrap(),
            Work::Threat("THR-1".into())
        );
        let work = Work::Execution("EXE-1".into());
        assert_eq!(Work::parse(&work.payload()).unwrap(), work);
        for payload in [
            json!({}),
            json!(null),
            json!([]),
            json!({"threat_id": 7}),
            json!({"threat_id": "a", "execution_id": "b"}),
            json!("x".repeat(10_000)),
        ] {
            let error = Work::parse(&payload).unwrap_err();
            assert!(!error.is_retryable() && error.to_string().len() < 300, "{error}");
        }
    }
}
