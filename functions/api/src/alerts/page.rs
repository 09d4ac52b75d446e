//! A page of alerts.

use serde::Serialize;
use threatstream_backend::AlertQuery;
use threatstream_domain::Alert;
use threatstream_runtime::{Json, Problem};
use utoipa::ToSchema;

use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// A page of alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertPage {
    /// Newest first.
    #[schema(value_type = Vec<schema::Alert>)]
    alerts: Vec<Alert>,
    /// How many are on this page.
    count: usize,
    /// What the next page is asked with; null on the last.
    next_cursor: Option<String>,
}

pub(super) async fn page(api: &Api, query: &AlertQuery) -> Result<Json<AlertPage>, Problem> {
    let page = api
        .backends
        .store
        .alerts(query)
        .await
        .map_err(|error| failure::listing(error, query.cursor.is_some()))?;
    Ok(Json(AlertPage {
        count: page.items.len(),
        alerts: page.items,
        next_cursor: page.next_cursor,
    }))
}
