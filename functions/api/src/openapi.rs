//! The description of every route of the product, as OpenAPI 3.1.

mod described_elsewhere;
pub(crate) mod schema;

use http::Method;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::Ref;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, PathItem, RefOr};
use utoipa::{Modify, OpenApi as _, ToSchema};

use crate::{api, information};

/// What stands around the routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "ThreatStream",
        description = "Detects attacks in security telemetry as it streams in. Hand in events, see the threats and the alerts they make, work on the alerts.\n\n\
            Times are RFC 3339 in UTC with milliseconds. Errors are `application/problem+json` (RFC 9457). Lists take `limit` and `cursor`, newest first.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "events", description = "Events go in"),
        (name = "threats", description = "What was found"),
        (name = "alerts", description = "What somebody must look at"),
        (name = "analytics", description = "Counters, risk and the ledger"),
        (name = "live", description = "Frames as they happen"),
        (name = "response", description = "Playbooks and the blocklist"),
        (name = "simulation", description = "Attacks to try it with"),
        (name = "platform", description = "How the platform is"),
    ),
    // Names that only parameters refer to would not be gathered from the routes.
    components(schemas(
        schema::AlertStatus, schema::ExecutionStatus, schema::FormatName, schema::Intensity, schema::Priority, schema::Problem, schema::Severity,
        schema::ThreatType, schema::Time
    )),
    modifiers(&Bearer)
)]
struct Frame;

/// Callers show a bearer token, where authentication asks for one.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "Needed unless the platform is open to this machine alone (`AUTH_MODE=open`).",
            ))
            .build();
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
        openapi.security = Some(vec![
            SecurityRequirement::default(),
            SecurityRequirement::new("bearer", Vec::<String>::new()),
        ]);
    }
}

/// `GET /`, which is mounted only where this function answers it.
#[derive(utoipa::OpenApi)]
#[openapi(paths(information::get_information))]
struct Root;

/// The document without its paths.
pub(crate) fn frame() -> OpenApi {
    Frame::openapi()
}

/// The description of every route of the product, those of the other functions included; `extra` adds documents that a function has of its own.
#[must_use]
pub fn openapi(extra: Vec<OpenApi>) -> OpenApi {
    let mut document = api::routes().into_openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.merge(Root::openapi());
    document.merge(described_elsewhere::openapi());
    for other in extra {
        document.merge(other);
    }
    document.paths.paths.values_mut().for_each(add_problem);
    document
}

/// Every route that [`openapi`] describes, `GET /` and those of the other functions included: method and path, sorted by path, with parameters as
/// `{id}`. For a test that holds the document to what a router answers.
#[must_use]
pub fn documented() -> Vec<(Method, String)> {
    let mut routes = Vec::new();
    for (path, mut item) in openapi(Vec::new()).paths.paths {
        routes.extend(operations(&mut item).map(|(method, _)| (method, path.clone())));
    }
    routes
}

/// The operations of a path, by method.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    [
        (Method::GET, &mut item.get),
        (Method::POST, &mut item.post),
        (Method::PUT, &mut item.put),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
        (Method::HEAD, &mut item.head),
        (Method::OPTIONS, &mut item.options),
        (Method::TRACE, &mut item.trace),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Whatever goes wrong is a problem, on every route.
fn add_problem(item: &mut PathItem) {
    for (_, operation) in operations(item) {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(schema::Problem::name())))
            .build();
        let response = ResponseBuilder::new()
            .description("What went wrong")
            .content("application/problem+json", content)
            .build();
        operation
            .responses
            .responses
            .entry("default".to_owned())
            .or_insert(RefOr::T(response));
    }
}

#[cfg(test)]
mod tests;
