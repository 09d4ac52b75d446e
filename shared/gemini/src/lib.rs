//! Gemini, the analyst's model: how it is configured, how it is reached, and whether it answers. The only crate that knows the
//! model's HTTP interface.
//!
//! A model is reached in one of two ways, which the environment chooses between ([`Access`]): at AI Studio with a key, or at
//! Vertex AI as the service account that the process runs as. Nothing is sent until something is asked, and [`Gemini::probe`]
//! asks what costs nothing: what the model is.
//!
//! ```no_run
//! use threatstream_gemini::{Gemini, GeminiConfig};
//! use threatstream_runtime::ProcessEnvironment;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let environment = ProcessEnvironment::load()?;
//! if let Some(config) = GeminiConfig::from_env(&environment)? {
//!     println!("{}", Gemini::new(config).probe().await?.name);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | |
//! |---|---|
//! | `config` | which model, where, and as whom, from the environment: [`GeminiConfig`] |
//! | `client` | asking the model: [`Gemini`] |
//! | `transport` | one bounded HTTP exchange, and what came of it |
//! | `token` | the service account's token, from the metadata server |
//! | `model` | what an answer about a model says: [`ModelInfo`] |
//! | `error` | what can go wrong, and whether to try again: [`GeminiError`] |

mod client;
mod config;
mod error;
mod model;
mod token;
mod transport;

pub use client::Gemini;
pub use config::{Access, DEFAULT_MODEL, GeminiConfig, VertexAccess};
pub use error::{GeminiError, Peer};
pub use model::ModelInfo;
