//! The model, asked for real: what it is, which costs nothing.

use std::time::Instant;

use threatstream_gemini::{Access, Gemini, GeminiConfig, GeminiError, ModelInfo, Peer};
use threatstream_runtime::Environment;

use super::Finding;

const CHECK: &str = "gemini";

pub(super) async fn examine(environment: &dyn Environment) -> Finding {
    let config = match GeminiConfig::from_env(environment) {
        Ok(Some(config)) => config,
        Ok(None) => {
            return Finding::left_out(
                CHECK,
                "off: neither GEMINI_API_KEY nor GEMINI_VERTEX is set; verdicts are the rules' alone",
            );
        }
        Err(_) => return Finding::left_out(CHECK, super::parts::NAMED),
    };
    let gemini = Gemini::new(config);
    let started = Instant::now();
    let answer = gemini.probe().await;
    let latency = started.elapsed();
    let place = gemini.config().place();
    let finding = match answer {
        Ok(model) => Finding::ok(
            CHECK,
            format!(
                "{place}: {} answers; this build triages nothing with it, verdicts are the rules' alone",
                told(&model)
            ),
        ),
        Err(error) => {
            Finding::failed(CHECK, format!("{place}: {error}")).advise(advice(&gemini.config().access, &error))
        }
    };
    finding.took(latency)
}

fn told(model: &ModelInfo) -> String {
    match (model.input_token_limit, model.output_token_limit) {
        (Some(input), Some(output)) => format!("{} ({input} tokens in, {output} out)", model.name),
        _ => model.name.clone(),
    }
}

const fn advice(access: &Access, error: &GeminiError) -> &'static str {
    match (access, error) {
        (_, GeminiError::Client { .. }) => "are the system's CA certificates installed (ca-certificates)",
        (_, GeminiError::RateLimited { .. }) => "its quota is used up: wait, or raise it",
        (_, GeminiError::Failed { .. } | GeminiError::TimedOut { peer: Peer::Gemini, .. }) => "try again later",
        (_, GeminiError::Unreachable { peer: Peer::Gemini, .. }) => {
            "is the address reachable from here, or the one in GEMINI_BASE_URL right"
        }
        (
            Access::Vertex(_),
            GeminiError::Unreachable { .. }
            | GeminiError::TimedOut { .. }
            | GeminiError::NotFound {
                peer: Peer::Metadata, ..
            },
        ) => "Vertex AI takes the service account of a machine on Google Cloud; elsewhere use GEMINI_API_KEY",
        (Access::Vertex(_), GeminiError::NotFound { .. }) => {
            "is GEMINI_MODEL served in GCP_REGION; the newest models are in the location global alone"
        }
        (Access::Vertex(_), GeminiError::Denied { .. }) => {
            "is aiplatform.googleapis.com enabled, and has the service account roles/aiplatform.user"
        }
        (Access::Key(_), GeminiError::NotFound { .. }) => "does GEMINI_MODEL name a model that AI Studio lists",
        (Access::Key(_), GeminiError::Denied { .. }) => "is GEMINI_API_KEY a key of AI Studio that is still valid",
        _ => "is GEMINI_BASE_URL the address of Gemini's interface",
    }
}
