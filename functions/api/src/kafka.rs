//! The event log, and how its streams flow. On the embedded log they answer as well, without brokers.

pub(crate) mod cluster;
mod rates;
pub(crate) mod stream_status;

pub(crate) use rates::Rates;

use crate::api::Api;

/// The product's topics.
fn topics(api: &Api) -> Vec<String> {
    api.backends.topics.names().map(str::to_owned).to_vec()
}
