//! `GET /api/kafka/cluster`: what the event log says of itself.

use std::sync::Arc;

use axum::extract::State;
use threatstream_backend::ClusterInfo;
use threatstream_runtime::{Json, Problem};

use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// The event log's servers, topics and partitions
#[utoipa::path(get, path = "/api/kafka/cluster", tag = "platform", responses((status = 200, body = schema::ClusterInfo)))]
pub(crate) async fn cluster(State(api): State<Arc<Api>>) -> Result<Json<ClusterInfo>, Problem> {
    let cluster = api.backends.log.cluster(&super::topics(&api)).await;
    cluster.map(Json).map_err(failure::backend)
}
