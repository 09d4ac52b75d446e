//! Runs any axum [`Router`](axum::Router) as a function: on Cloud Run, or on one machine.
//!
//! A function is a router and named workers. [`serve`] adds once what every function needs and no handler should think of: the port,
//! health and metrics, request ids and tracing, authentication, limits, errors as problem+json, and a shutdown that loses no request.
//! This crate knows nothing of what it serves.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use threatstream_runtime::{Function, ProcessEnvironment, ServeConfig, serve, telemetry};
//!
//! #[tokio::main]
//! async fn main() -> anyhow::Result<()> {
//!     let environment = ProcessEnvironment::load()?;
//!     let _telemetry = telemetry::init(&environment)?;
//!     let config = ServeConfig::from_env(&environment)?;
//!     let router = Router::new().route("/hello", get(async || "hello"));
//!     serve(Function::new("hello", router), config).await
//! }
//! ```
//!
//! | module | |
//! |---|---|
//! | [`function`] | what is served: router, workers, probes, and which routes are public or take in bulk |
//! | [`environment`] | the only reader of environment variables and `.env`; collects every problem |
//! | [`config`] | how it is served, from the environment |
//! | [`auth`] | who may: modes, tokens, tickets, roles, origins |
//! | [`problem`], [`extract`] | errors as RFC 9457 problem+json, and extractors that name the field |
//! | [`push`] | what Pub/Sub and Cloud Scheduler send: envelopes, and the claims of their tokens |
//! | [`metrics`], [`telemetry`] | what it says about itself |

mod app;
pub mod auth;
mod causes;
pub mod config;
pub mod environment;
pub mod extract;
pub mod function;
mod guard;
mod health;
pub mod metrics;
mod observe;
pub mod problem;
pub mod push;
mod rate_limit;
mod server;
mod supervise;
pub mod telemetry;

pub use app::{app, ingest_limit};
pub use auth::{AuthMode, Principal, Role, TicketVerifier, Tickets};
pub use causes::with_causes;
pub use config::ServeConfig;
pub use environment::{ConfigErrors, Environment, Overrides, ProcessEnvironment, Reader, Secret};
pub use extract::{Json, Path, Query};
pub use function::{Function, Probe, Worker};
pub use observe::RequestId;
pub use problem::Problem;
pub use push::{PushAuth, PushEnvelope, PushedTask};
pub use server::{Shutdown, bind, serve, serve_on, shutdown_signal};

/// The token that workers watch, so that a function need not depend on `tokio-util` itself.
pub use tokio_util::sync::CancellationToken;
