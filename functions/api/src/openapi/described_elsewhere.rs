//! Routes that other functions answer, and the runtime: one document describes the product, whichever container a route is in.

mod analysis;
mod platform;
mod push;
mod response;
mod simulation;

use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

pub(super) fn openapi() -> OpenApi {
    let mut document = simulation::Described::openapi();
    document.merge(analysis::Described::openapi());
    document.merge(response::Described::openapi());
    document.merge(platform::Described::openapi());
    document
}
