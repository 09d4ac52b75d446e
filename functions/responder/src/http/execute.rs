//! `POST /api/playbooks/execute` and `/execute-mitigations/{threat_id}`: playbooks started by hand.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use threatstream_domain::{Execution, Threat, hex};
use threatstream_runtime::{Json, Path, Problem};

use super::{id, unavailable};
use crate::execution::{Engine, Request};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    playbook_id: String,
    threat_id: String,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    override_params: Map<String, Value>,
}

/// 202 with the execution; it runs as a task of the queue, whatever becomes of this process.
pub(super) async fn execute(
    State(engine): State<Arc<Engine>>,
    headers: HeaderMap,
    Json(body): Json<Body>,
) -> Result<(StatusCode, Json<Execution>), Problem> {
    let key = key(&headers)?;
    let playbook = engine
        .library
        .get(&body.playbook_id)
        .ok_or_else(|| Problem::not_found("there is no such playbook").field("playbook_id", "unknown"))?;
    let threat = threat(&engine, &body.threat_id).await?;
    playbook.actions(&body.override_params).map_err(|error| {
        Problem::bad_request("the body has a value that is not allowed").field(error.field, error.message)
    })?;
    let request = Request {
        playbook,
        threat: &threat,
        dry_run: body.dry_run,
        override_params: body.override_params,
        key: &key,
    };
    let execution = engine
        .request(request)
        .await
        .map_err(|error| unavailable(&error))?
        .ok_or_else(|| {
            Problem::unprocessable("the key was used before, for another request")
                .field("idempotency-key", "expected a new key for a new request")
        })?;
    Ok((StatusCode::ACCEPTED, Json(execution)))
}

#[derive(Debug, Serialize)]
pub(super) struct Started {
    executions: Vec<Execution>,
    count: usize,
}

/// 202 with an execution of every playbook that answers the threat.
pub(super) async fn execute_mitigations(
    State(engine): State<Arc<Engine>>,
    headers: HeaderMap,
    Path(threat_id): Path<String>,
) -> Result<(StatusCode, Json<Started>), Problem> {
    let key = key(&headers)?;
    let threat = threat(&engine, &threat_id).await?;
    let mut executions = Vec::new();
    for playbook in engine.library.answering(&threat) {
        let request = Request {
            playbook,
            threat: &threat,
            dry_run: false,
            override_params: Map::new(),
            key: &key,
        };
        // A key that one of the playbooks was executed with before, differently, is that one's affair.
        executions.extend(engine.request(request).await.map_err(|error| unavailable(&error))?);
    }
    Ok((
        StatusCode::ACCEPTED,
        Json(Started {
            count: executions.len(),
            executions,
        }),
    ))
}

async fn threat(engine: &Engine, threat_id: &str) -> Result<Threat, Problem> {
    let found = match id(threat_id) {
        Some(known) => engine
            .store()
            .threat(known)
            .await
            .map_err(|error| unavailable(&error))?,
        None => None,
    };
    found.ok_or_else(|| Problem::not_found("there is no such threat").field("threat_id", "unknown"))
}

/// The client's key, or one that nobody has used.
fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        let mut bytes = [0; 16];
        rand::rng().fill_bytes(&mut bytes);
        return Ok(format!("random {}", hex(&bytes)));
    };
    match value.to_str() {
        Ok(text) if (1..=255).contains(&text.len()) => Ok(format!("given {text}")),
        _ => Err(Problem::bad_request("the request has a header that is not allowed")
            .field("idempotency-key", "expected 1 to 255 visible ASCII characters")),
    }
}
