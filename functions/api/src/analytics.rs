//! Numbers: counters, risk, and the ledger.

pub(crate) mod dashboard;
pub(crate) mod ledger;
pub(crate) mod risk_index;
pub(crate) mod summary;
pub(crate) mod timeline;
