//! Where a client stands in the feed.

use std::fmt;
use std::sync::Arc;

/// A place in the feed, shared.
pub(crate) type Cursor = Arc<str>;

/// What a client has been told: every record up to `after`, and the first `taken` frames of the record that follows it.
///
/// It names the record before, so that a client that was cut in the middle of a record can be given the rest of it: a feed can only be
/// read on from after a place. As text, later places compare greater, because cursors do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seq {
    pub(crate) after: Cursor,
    pub(crate) taken: usize,
}

/// What a client has been told, and of which feed.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) epoch: Arc<str>,
    pub(crate) seq: Seq,
}

/// Longest text taken for a place; what stores give is far shorter.
const MAX_BYTES: usize = 512;

impl Seq {
    /// All of every record up to a place.
    pub(crate) fn at(after: Cursor) -> Self {
        Self { after, taken: 0 }
    }

    /// Reads what [`Display`](fmt::Display) wrote; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (after, taken) = text.rsplit_once('.')?;
        let digits = taken.len() >= 5 && taken.len() <= 9 && taken.bytes().all(|b| b.is_ascii_digit());
        (digits && text.len() <= MAX_BYTES).then_some(())?;
        Some(Self {
            after: after.into(),
            taken: taken.parse().ok()?,
        })
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:05}", self.after, self.taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(after in "[0-9a-z.]{0,30}", taken in 0usize..100_000) {
            let seq = Seq { after: after.into(), taken };
            prop_assert_eq!(Seq::parse(&seq.to_string()), Some(seq));
        }

        #[test]
        fn places_compare_as_text(a in (0u64..1000, 0usize..2000), b in (0u64..1000, 0usize..2000)) {
            let seq = |(record, taken): (u64, usize)| Seq { after: format!("{record:020}").into(), taken };
            prop_assert_eq!(seq(a).cmp(&seq(b)), seq(a).to_string().cmp(&seq(b).to_string()));
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            if let Some(seq) = Seq::parse(&text) {
                prop_assert!(seq.taken < 1_000_000_000);
            }
        }
    }
}
