//! `POST /api/simulate/event`: one event, and its verdict.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use threatstream_backend::{BackendError, Position};
use threatstream_domain::Threat;
use threatstream_runtime::extract::body_problem;
use threatstream_runtime::{Json, Principal, Problem};
use utoipa::ToSchema;

use crate::api::Api;
use crate::openapi::schema;
use crate::{events, failure};

/// How often the store is asked when nothing says that it has moved: another process may be the one that analyses.
const POLL: Duration = Duration::from_millis(25);

/// The verdict on an event.
#[derive(Debug, Serialize, ToSchema)]
struct Verdict {
    /// `success`
    status: &'static str,
    /// A sentence for people.
    message: String,
    /// What the event is known by.
    event_id: String,
    /// The threat that it completed, the worst if several; null when it is harmless, or only counts towards a sequence.
    #[schema(value_type = Option<schema::Threat>)]
    threat: Option<Threat>,
}

/// The verdict is not there yet.
#[derive(Debug, Serialize, ToSchema)]
struct PendingVerdict {
    /// `pending`
    status: &'static str,
    /// What the event is known by.
    event_id: String,
}

/// Try one event
///
/// Takes one native event as if it had been handed in, and waits up to 5 seconds for its verdict.
#[utoipa::path(
    post, path = "/api/simulate/event", tag = "events",
    request_body = schema::NativeEvent,
    responses(
        (status = 200, description = "The verdict", body = Verdict),
        (status = 202, description = "Taken; the verdict is not there yet", body = PendingVerdict),
    )
)]
pub(crate) async fn simulate_event(
    State(api): State<Arc<Api>>,
    principal: Principal,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|rejection| body_problem(&rejection))?;
    let (event_id, position) = events::append_one(&api, &principal, &headers, &body).await?;
    match tokio::time::timeout(api.config.verdict_wait, verdict(&api, &event_id, position)).await {
        Ok(threat) => {
            let threat = threat.map_err(failure::backend)?;
            let message = match &threat {
                Some(threat) => format!("detected {} of severity {}", threat.threat_type, threat.severity),
                None => "analysed; no threat".to_owned(),
            };
            Ok(Json(Verdict {
                status: "success",
                message,
                event_id,
                threat,
            })
            .into_response())
        }
        Err(_) => Ok((
            StatusCode::ACCEPTED,
            Json(PendingVerdict {
                status: "pending",
                event_id,
            }),
        )
            .into_response()),
    }
}

/// Waits until the event is judged; the worst threat it completed.
async fn verdict(api: &Api, event_id: &str, position: Position) -> Result<Option<Threat>, BackendError> {
    let mut ticks = api.backends.store.ticks();
    // Where the matches end once the event has been matched: judged that far, its verdict is final.
    let mut matched_up_to: Option<Vec<u64>> = None;
    loop {
        let final_look = match &matched_up_to {
            Some(ends) => judged(api, ends).await?,
            None => false,
        };
        let threats = api.backends.store.threats_of_event(event_id).await?;
        let worst = threats
            .into_iter()
            .max_by(|a, b| (a.severity, a.risk_score).cmp(&(b.severity, b.risk_score)));
        if worst.is_some() || final_look {
            return Ok(worst);
        }
        if matched_up_to.is_none() && matched(api, position).await? {
            let marks = api.backends.log.watermarks(&api.backends.topics.matches).await?;
            matched_up_to = Some(marks.iter().map(|marks| marks.high).collect());
            continue;
        }
        // A tick is a hint; that its sender is gone is none.
        if let Ok(Err(_)) = tokio::time::timeout(POLL, ticks.changed()).await {
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Whether the event is behind the checkpoint of match.
async fn matched(api: &Api, position: Position) -> Result<bool, BackendError> {
    let checkpoints = api.backends.store.checkpoints(&api.backends.topics.raw).await?;
    Ok(checkpoints
        .iter()
        .any(|checkpoint| checkpoint.partition == position.partition && checkpoint.next_offset > position.offset))
}

/// Whether every partition of matches is judged up to these ends.
async fn judged(api: &Api, ends: &[u64]) -> Result<bool, BackendError> {
    let checkpoints = api.backends.store.checkpoints(&api.backends.topics.matches).await?;
    Ok((0_u32..).zip(ends).all(|(partition, end)| {
        let reached = checkpoints.iter().find(|checkpoint| checkpoint.partition == partition);
        *end == 0 || reached.is_some_and(|checkpoint| checkpoint.next_offset >= *end)
    }))
}
