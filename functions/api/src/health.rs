//! `GET /api/health`: each part probed for real.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use threatstream_backend::{BackendError, Checkpoint};
use threatstream_domain::Timestamp;
use threatstream_runtime::Json;
use utoipa::ToSchema;

use crate::api::{Api, RuleSummary};
use crate::openapi::schema;

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PartStatus {
    /// It answered.
    Up,
    /// It answers, but something was lost, or is about to be.
    Degraded,
    /// It did not answer in time, or answered wrongly.
    Down,
    /// It is not configured, and nothing needs it.
    Off,
}

/// How the whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OverallStatus {
    /// Every part that is needed is up.
    Healthy,
    /// Works, with a loss.
    Degraded,
    /// Something that is needed is down.
    Unhealthy,
}

/// The parts.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Services {
    /// The event log.
    event_log: PartStatus,
    /// The store.
    store: PartStatus,
    /// The task queue.
    task_queue: PartStatus,
    /// The model, which nothing needs; asked at most twice a minute. Off without one: verdicts are the rules' alone.
    gemini: PartStatus,
    /// The rules: a known attack was matched a moment ago, a known harmless event was not. Degraded: what was changed in their files
    /// since does not load, and the rules before the change are at work.
    rules: PartStatus,
}

/// How the platform is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    status: OverallStatus,
    #[schema(value_type = schema::Time)]
    timestamp: Timestamp,
    version: &'static str,
    environment: String,
    services: Services,
}

/// How the platform is
///
/// Probes each part at the time of asking, the model at most twice a minute. 503 when a part that is needed is down.
#[utoipa::path(get, path = "/api/health", tag = "platform", responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn health(State(api): State<Arc<Api>>) -> Response {
    let backends = &api.backends;
    let limit = api.config.probe_timeout;
    let (log, store, task_queue, gemini, checkpoints) = tokio::join!(
        probe("event_log", limit, backends.log.check()),
        probe("store", limit, backends.store.check()),
        probe("task_queue", limit, backends.tasks.check()),
        api.model.status(),
        tokio::time::timeout(limit, backends.store.checkpoints(&backends.topics.raw)),
    );
    let event_log = if log == PartStatus::Up && matches!(&checkpoints, Ok(Ok(list)) if has_lost(list)) {
        PartStatus::Degraded
    } else {
        log
    };
    let services = Services {
        event_log,
        store,
        task_queue,
        gemini,
        rules: rules(&api),
    };
    let status = overall(services);
    let health = Health {
        status,
        timestamp: api.clock.now(),
        version: env!("CARGO_PKG_VERSION"),
        environment: api.config.environment.clone(),
        services,
    };
    let code = if status == OverallStatus::Unhealthy {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (code, Json(health)).into_response()
}

async fn probe(
    part: &'static str,
    limit: Duration,
    check: impl Future<Output = Result<(), BackendError>>,
) -> PartStatus {
    match tokio::time::timeout(limit, check).await {
        Ok(Ok(())) => PartStatus::Up,
        Ok(Err(error)) => {
            tracing::warn!(part, %error, "a part is down");
            PartStatus::Down
        }
        Err(_) => {
            tracing::warn!(part, ?limit, "a part did not answer in time");
            PartStatus::Down
        }
    }
}

fn rules(api: &Api) -> PartStatus {
    match (api.rules)() {
        Ok(RuleSummary {
            reload_failure: Some(reason),
            ..
        }) => {
            tracing::warn!(reason, "the rules are older than their files");
            PartStatus::Degraded
        }
        Ok(_) => PartStatus::Up,
        Err(error) => {
            tracing::error!(%error, "the rules do not match what they must");
            PartStatus::Down
        }
    }
}

/// Whether the log had lost records before they were analysed.
fn has_lost(checkpoints: &[Checkpoint]) -> bool {
    checkpoints.iter().any(|checkpoint| checkpoint.lost > 0)
}

/// Without the model everything works on, so it has no say here.
fn overall(services: Services) -> OverallStatus {
    let parts = [services.event_log, services.store, services.task_queue, services.rules];
    if parts.contains(&PartStatus::Down) {
        OverallStatus::Unhealthy
    } else if parts.contains(&PartStatus::Degraded) {
        OverallStatus::Degraded
    } else {
        OverallStatus::Healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_that_is_down_is_enough() {
        let up = Services {
            event_log: PartStatus::Up,
            store: PartStatus::Up,
            task_queue: PartStatus::Up,
            gemini: PartStatus::Off,
            rules: PartStatus::Up,
        };
        assert_eq!(overall(up), OverallStatus::Healthy);
        assert_eq!(
            overall(Services {
                event_log: PartStatus::Degraded,
                ..up
            }),
            OverallStatus::Degraded
        );
        assert_eq!(
            overall(Services {
                event_log: PartStatus::Degraded,
                rules: PartStatus::Down,
                ..up
            }),
            OverallStatus::Unhealthy
        );
    }

    #[tokio::test]
    async fn a_part_that_hangs_is_down() {
        assert_eq!(
            probe("store", Duration::from_millis(1), std::future::pending()).await,
            PartStatus::Down
        );
        assert_eq!(
            probe("store", Duration::from_secs(2), async { Ok(()) }).await,
            PartStatus::Up
        );
    }
}
