//! The store.

mod alerts;
mod analytics;
mod commit;
mod feed;
mod leases;
mod page;
mod responses;
mod simulations;
mod threats;

use async_trait::async_trait;
use threatstream_backend::{BackendError, Store};
use tokio::sync::watch;

pub(crate) use feed::trim as trim_feed;
pub(crate) use threats::trim as trim_threats;

use crate::embedded::Embedded;

#[async_trait]
impl Store for Embedded {
    async fn check(&self) -> Result<(), BackendError> {
        self.reach().await
    }

    fn ticks(&self) -> watch::Receiver<u64> {
        self.inner.signals.store.subscribe()
    }
}
