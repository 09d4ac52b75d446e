//! From the bytes of a log line to a verdict: decode, normalise, enrich, match, correlate, score.
//!
//! Everything here is pure: no I/O, no wall clock, no randomness. Arrival time comes with the record; open windows and
//! alerts come as arguments. The same bytes give the same verdict on every machine, today and next year.

pub mod decode;
pub mod enrich;
mod event;
mod examine;
mod found;
pub mod judge;
pub mod mitre;
mod names;
pub mod pack;
mod recent;
pub mod rule_tests;
pub mod sigma;
mod yaml;

pub use event::{Event, Fields, LogSource, Value};
pub use examine::{DeadLetter, Detector, Incoming, Opened};
pub use found::{Counts, Feed, Match, Measure, ORIGINAL_BYTES, Observed, Verdict, Window};
pub use recent::{REMEMBERED, Recent};
pub use yaml::yaml_to_json;
