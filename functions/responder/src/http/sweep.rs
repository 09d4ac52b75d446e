//! `POST /tasks/sweep`: what a scheduler calls each minute.

use std::sync::Arc;

use axum::extract::State;
use http::HeaderMap;
use threatstream_runtime::{Json, Problem};

use super::unavailable;
use crate::execution::Engine;
use crate::sweep::Swept;

/// 200 with what was done; calling it more often than once a minute does no harm.
pub(super) async fn sweep(State(engine): State<Arc<Engine>>, headers: HeaderMap) -> Result<Json<Swept>, Problem> {
    engine.push.authorize(&headers, engine.clock.now().as_millis())?;
    engine.sweep().await.map(Json).map_err(|error| unavailable(&error))
}
