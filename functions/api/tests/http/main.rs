//! The API through its real router, on a real store.

mod alerts;
mod analytics;
mod docs;
mod events;
mod health;
mod hostile;
mod kafka;
mod model;
mod properties;
mod pubsub;
mod simulate;
mod threats;
mod world;
