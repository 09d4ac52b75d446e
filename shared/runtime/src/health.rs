//! `/readyz`: whether the function can do its work now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use http::StatusCode;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::function::Probe;
use crate::supervise::{WorkerReport, WorkerStatus};

/// A probe that has not answered by then is down.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Anyone may ask, so that the probes are asked at most once in this time.
const CACHED_FOR: Duration = Duration::from_secs(1);

/// The probes and workers of a function.
pub(crate) struct Health {
    function: &'static str,
    probes: Vec<Probe>,
    workers: Vec<Arc<WorkerStatus>>,
    last: Mutex<Option<(Instant, BTreeMap<&'static str, String>)>>,
}

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    function: &'static str,
    probes: &'a BTreeMap<&'static str, String>,
    workers: BTreeMap<&'static str, WorkerReport>,
}

impl Health {
    pub(crate) fn new(function: &'static str, probes: Vec<Probe>, workers: Vec<Arc<WorkerStatus>>) -> Self {
        Self {
            function,
            probes,
            workers,
            last: Mutex::new(None),
        }
    }

    /// 200 when everything is up, else 503; either way a JSON document that says what is not.
    pub(crate) async fn report(&self, stopping: bool) -> Response {
        let mut last = self.last.lock().await;
        if last.as_ref().is_none_or(|(at, _)| at.elapsed() > CACHED_FOR) {
            *last = Some((
                Instant::now(),
                join_all(self.probes.iter().map(ask)).await.into_iter().collect(),
            ));
        }
        let nothing = BTreeMap::new();
        let probes = last.as_ref().map_or(&nothing, |(_, probes)| probes);
        let workers: BTreeMap<_, _> = self
            .workers
            .iter()
            .map(|worker| (worker.name(), worker.report()))
            .collect();
        let up = probes.values().all(|state| state == "up") && workers.values().all(WorkerReport::is_ready);
        let status = match (stopping, up) {
            (true, _) => "stopping",
            (false, true) => "ready",
            (false, false) => "unready",
        };
        let code = if status == "ready" {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (
            code,
            axum::Json(Report {
                status,
                function: self.function,
                probes,
                workers,
            }),
        )
            .into_response()
    }
}

async fn ask(probe: &Probe) -> (&'static str, String) {
    let state = match tokio::time::timeout(PROBE_TIMEOUT, (probe.check)()).await {
        Ok(Ok(())) => "up".to_owned(),
        Ok(Err(reason)) => crate::problem::cut(reason),
        Err(_) => "does not answer".to_owned(),
    };
    (probe.name, state)
}
