//! A line that no decoder knows: its text is all there is to see.

use super::{Context, Format, blank};
use crate::{Event, LogSource, Value};

pub(super) fn sniff(_: &str) -> bool {
    true
}

#[expect(clippy::unnecessary_wraps, reason = "the registry's shape")]
pub(super) fn decode(raw: &str, _: Context) -> Option<Event<'_>> {
    Some(plain(raw))
}

/// The event that a line always is.
pub(super) fn plain(raw: &str) -> Event<'_> {
    let mut event = blank(Format::Text, raw, LogSource::default());
    event.original.push("message", Value::str(raw));
    event.ecs.push("message", Value::str(raw));
    event
}
