//! The log against librdkafka's mock cluster: what the conformance suite does not ask of every log.

mod appending;
mod monitoring;
mod outages;
mod reading;
mod rig;
