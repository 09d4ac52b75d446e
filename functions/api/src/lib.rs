//! The HTTP interface of the product: events in; threats, alerts and analytics out; and the description of all of it.
//!
//! [`build`] makes the [`Function`](threatstream_runtime::Function) from a [`Config`] and [`Dependencies`]. One endpoint is one file; what goes wrong is a
//! problem+json that names the field.
//!
//! | module | |
//! |---|---|
//! | `events` | `POST /api/events`: bodies split into events, checked, named and appended to the log |
//! | `events::pubsub` | `POST /api/ingest/pubsub`: a log sink of Google Cloud |
//! | `wake` | the wake-up of an analyzer of which nothing runs between requests |
//! | `simulate` | `POST /api/simulate/event`: one event, and its verdict |
//! | `threats`, `alerts`, `analytics` | what was found, and what analysts do about it |
//! | `health`, `rules`, `model` | each part probed for real |
//! | `kafka` | the event log and how its streams flow |
//! | `openapi`, `docs` | the description of every route of the product, and two pages that show it |

mod alerts;
mod analytics;
mod api;
mod config;
mod docs;
mod events;
mod failure;
mod health;
mod information;
mod kafka;
mod list;
mod model;
mod openapi;
mod rules;
mod simulate;
mod threats;
mod wake;
mod ws_ticket;

pub use api::{Dependencies, RuleSummary, RulesProbe, build};
pub use config::Config;
pub use information::{Information, information};
pub use openapi::{documented, openapi};
pub use rules::{count_rules, probe_builtin_rules, probe_rules};
