//! What Pub/Sub pushes to us, and Cloud Scheduler calls with the same token: the envelope around a message, and who sent it.
//!
//! A handler of pushes takes [`PushEnvelope`] as its last argument and asks [`PushAuth::authorize`] first. An envelope carries up to
//! 14 MiB (10 MiB in base64): a route whose messages may be large is an ingest route.

mod claims;
mod envelope;

pub use claims::PushAuth;
pub use envelope::{PushEnvelope, PushedTask};
