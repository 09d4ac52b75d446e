//! What an answer about a model says.
//!
//! AI Studio's `Model` (<https://ai.google.dev/api/models>) and Vertex AI's `PublisherModel`
//! (<https://docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/publishers.models>) share little but the name; what only one of them has is
//! absent from the other's.

use serde::Deserialize;

use crate::error::{GeminiError, Peer};
use crate::transport::tellable;

/// The method that triage needs of a model.
const GENERATE: &str = "generateContent";

/// A model that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Its resource name: `models/…` or `publishers/google/models/…`.
    pub name: String,
    /// What people call it; AI Studio's alone.
    pub display_name: Option<String>,
    /// Its version, as `3.5` or `default`.
    pub version: Option<String>,
    /// Tokens that a question may have; AI Studio's alone.
    pub input_token_limit: Option<u64>,
    /// Tokens that an answer may have; AI Studio's alone.
    pub output_token_limit: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    name: String,
    display_name: Option<String>,
    #[serde(alias = "versionId")]
    version: Option<String>,
    input_token_limit: Option<u64>,
    output_token_limit: Option<u64>,
    supported_generation_methods: Option<Vec<String>>,
}

impl ModelInfo {
    pub(crate) fn parse(body: &[u8], secret: &str) -> Result<Self, GeminiError> {
        let wire: Wire = serde_json::from_slice(body)
            .map_err(|error| malformed(&format!("no description of a model: {error}"), secret))?;
        if wire.name.rsplit_once("models/").is_none_or(|(_, name)| name.is_empty()) {
            return Err(malformed(&format!("'{}', which is no model's name", wire.name), secret));
        }
        if let Some(methods) = &wire.supported_generation_methods
            && !methods.iter().any(|method| method == GENERATE)
        {
            let reason = format!("{} has {}, and not {GENERATE}", wire.name, methods.join(", "));
            return Err(malformed(&reason, secret));
        }
        let text = |text: String| tellable(&text, Some(secret));
        Ok(Self {
            name: text(wire.name),
            display_name: wire.display_name.map(text),
            version: wire.version.map(text),
            input_token_limit: wire.input_token_limit,
            output_token_limit: wire.output_token_limit,
        })
    }
}

fn malformed(reason: &str, secret: &str) -> GeminiError {
    GeminiError::Malformed {
        peer: Peer::Gemini,
        reason: tellable(reason, Some(secret)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_model_that_cannot_answer_questions_is_refused() {
        let embeds = br#"{"name":"models/embedding-001","supportedGenerationMethods":["embedContent"]}"#;
        let error = ModelInfo::parse(embeds, "hush").unwrap_err();
        assert_eq!(
            error.to_string(),
            "gemini answered what it should not: models/embedding-001 has embedContent, and not generateContent"
        );
        // Not every model lists its methods.
        assert!(ModelInfo::parse(br#"{"name":"models/gemma-3-27b-it"}"#, "hush").is_ok());
    }

    proptest! {
        #[test]
        fn any_answer_is_a_model_or_an_error(
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "\\{\"name\":\"[a-z/]{0,20}\",\"version\":(\"[0-9.]{0,5}\"|null|7)\\}".prop_map(String::into_bytes),
            ]
        ) {
            if let Ok(model) = ModelInfo::parse(&body, "hush") {
                prop_assert!(model.name.contains("models/"));
            }
        }
    }
}
