//! `GET /api/alerts/{id}`: one alert.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use threatstream_runtime::{Path, Problem};

use super::{shown, unknown};
use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// One alert
///
/// The `ETag` is the version that `If-Match` takes. It is weak: analysts' changes count, threats that join do not.
#[utoipa::path(
    get, path = "/api/alerts/{id}", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id", example = "ALT-0123456789abcdef0123")),
    responses((status = 200, body = schema::Alert))
)]
pub(crate) async fn one_alert(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let alert = api.backends.store.alert(&id).await.map_err(failure::backend)?;
    alert.map(shown).ok_or_else(|| unknown(&id))
}
