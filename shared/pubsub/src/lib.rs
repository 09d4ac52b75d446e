//! The task queue on Pub/Sub.
