//! `GET /`: what this is and where things are.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use threatstream_runtime::Json;
use utoipa::ToSchema;

use crate::api::Api;
use crate::config::Config;

/// What this is and where things are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Information {
    /// The product's name.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub description: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Pages and documents that describe the routes.
    pub documentation: Documentation,
    /// Where to begin.
    pub endpoints: Endpoints,
}

/// Where the descriptions are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Documentation {
    /// Swagger UI, to try things out.
    pub swagger_ui: &'static str,
    /// Redoc, to read.
    pub redoc: &'static str,
    /// OpenAPI 3.1, for programs.
    pub openapi: &'static str,
}

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Endpoints {
    /// Events go in here.
    pub events: &'static str,
    /// Threats come out here.
    pub threats: &'static str,
    /// Alerts that need somebody.
    pub alerts: &'static str,
    /// How the parts are.
    pub health: &'static str,
    /// Live frames.
    pub websocket: String,
}

/// The answer to `GET /`, for a process that answers it itself.
#[must_use]
pub fn information(config: &Config) -> Json<Information> {
    Json(Information {
        name: "ThreatStream",
        description: "Detects attacks in security telemetry as it streams in.",
        version: env!("CARGO_PKG_VERSION"),
        documentation: Documentation {
            swagger_ui: "/docs",
            redoc: "/redoc",
            openapi: "/openapi.json",
        },
        endpoints: Endpoints {
            events: "/api/events",
            threats: "/api/threats/recent",
            alerts: "/api/alerts/active",
            health: "/api/health",
            websocket: format!("{}/ws/live", config.relay_url.as_deref().unwrap_or_default()),
        },
    })
}

/// API information
#[utoipa::path(get, path = "/", tag = "platform", responses((status = 200, body = Information)))]
pub(crate) async fn get_information(State(api): State<Arc<Api>>) -> Json<Information> {
    information(&api.config)
}
