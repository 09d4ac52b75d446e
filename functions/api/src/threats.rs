//! Threats, as they are looked up.

pub(crate) mod one;
pub(crate) mod originals;
pub(crate) mod recent;
pub(crate) mod stats;

use threatstream_runtime::Problem;

fn unknown(id: &str) -> Problem {
    Problem::not_found("there is no such threat").field("id", id)
}
