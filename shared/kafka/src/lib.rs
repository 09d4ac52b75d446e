//! The event log on Kafka: Confluent Cloud, or any cluster that speaks its protocol.
//!
//! [`KafkaLog`] appends through one idempotent producer and awaits every delivery; it chooses partitions itself, by the
//! function that all producers of the product share. Its readers are assigned their partitions and offsets by hand, for the
//! checkpoints in the store decide who reads what and from where. A consumer group is told the progress for monitoring alone.
//!
//! [`KafkaLog::open`] does no I/O: a TLS client takes 0.1 to 0.3 s to make, and is made at first use, or in the background by
//! [`KafkaLog::connect`].
//!
//! What the log needs of its topics: they exist (nothing here creates one), the number of their partitions never changes,
//! `max.message.bytes` is at least [`MAX_RECORD_BYTES`], and `message.timestamp.type` is `LogAppendTime`, so that the time
//! of arrival is the broker's and not a sender's word.
//!
//! The module `mock` (feature `mock`) runs a small cluster in the process, for tests.

mod admin;
mod clients;
mod config;
mod context;
mod fault;
mod log;
#[cfg(feature = "mock")]
pub mod mock;
mod native;
mod off_thread;
mod producer;
mod reader;
mod record;

pub use config::{ApiSecret, Credentials, KafkaConfig, MAX_RECORD_BYTES};
pub use log::KafkaLog;
