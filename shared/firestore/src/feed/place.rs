//! Places in the feed.

use std::time::Duration;

use firestore::gcloud_sdk::google::firestore::v1::Document;
use threatstream_backend::{BackendError, FeedCursor};
use threatstream_domain::Timestamp;

use crate::codec::{from_proto, id_of};
use crate::error::unavailable;

/// A time has this many digits until the year 2286.
const DIGITS: usize = 16;

/// Where a record lies: by when it was committed, and, of those of the same microsecond, by its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    committed_at: Timestamp,
    /// Empty: before every record of that moment.
    id: String,
}

impl Place {
    /// The place of a record. Records never change, so that they were committed when they were made.
    pub(super) fn of(document: &Document) -> Result<Self, BackendError> {
        let created = document.create_time.as_ref();
        let created = created.ok_or_else(|| unavailable("a record of the feed came without its time"))?;
        Ok(Self {
            committed_at: from_proto(created),
            id: id_of(&document.name).to_owned(),
        })
    }

    /// Before every record committed at that moment or later.
    pub(super) fn before(committed_at: Timestamp) -> Self {
        Self {
            committed_at,
            id: String::new(),
        }
    }

    /// Where a feed ends whose newest record, as of `now`, is this one. If that is long ago, or there is none, it ends anywhere
    /// after it: at a moment that will not be older than what is kept for a good while, and the same for a good while.
    pub(super) fn head(newest: Option<Self>, now: Timestamp, retention: Duration) -> Self {
        if let Some(newest) = newest
            && newest.committed_at > now.minus(retention / 2)
        {
            return newest;
        }
        let step = i64::try_from(retention.as_micros() / 4).unwrap_or(i64::MAX).max(1);
        Self::before(Timestamp::from_micros(now.as_micros().div_euclid(step) * step))
    }

    pub(super) fn committed_at(&self) -> Timestamp {
        self.committed_at
    }

    pub(super) fn cursor(&self, epoch: &str) -> FeedCursor {
        let micros = self.committed_at.as_micros();
        FeedCursor(format!("{epoch}.{micros:0DIGITS$}.{}", self.id))
    }

    /// Reads a cursor of this epoch's feed; `None`: it is none.
    pub(super) fn parse(cursor: &FeedCursor, epoch: &str) -> Option<Self> {
        let place = cursor.0.strip_prefix(epoch)?.strip_prefix('.')?;
        let (micros, id) = place.split_once('.')?;
        let digits = micros.len() == DIGITS && micros.bytes().all(|byte| byte.is_ascii_digit());
        let id_fits = id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !digits || !id_fits {
            return None;
        }
        Some(Self {
            committed_at: Timestamp::from_micros(micros.parse().ok()?),
            id: id.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EPOCH: &str = "0123456789abcdef";
    const HOUR: Duration = Duration::from_secs(3600);

    fn place() -> impl Strategy<Value = Place> {
        (0..4_000_000_000_000_000_i64, "[0-9a-f]{0,24}").prop_map(|(micros, id)| Place {
            committed_at: Timestamp::from_micros(micros),
            id,
        })
    }

    #[test]
    fn foreign_cursors_are_none() {
        for text in [
            "",
            ".",
            "0",
            "0123456789abcdef",
            "0123456789abcdef.1795348800000000",
            "0123456789abcdef.-795348800000000.a",
            "0123456789abcdef.1795348800000000.a/b",
            "fedcba9876543210.1795348800000000.a",
            "99999999999999999999",
        ] {
            assert_eq!(Place::parse(&FeedCursor(text.to_owned()), EPOCH), None, "{text}");
        }
    }

    #[test]
    fn the_head_of_an_idle_feed_can_be_followed_from() {
        let now = Timestamp::from_secs(1_795_348_800);
        let old = Place::before(now.minus(HOUR * 5));
        for newest in [None, Some(old.clone())] {
            let head = Place::head(newest, now, HOUR);
            assert!(head > old && head.committed_at <= now);
            assert!(head.committed_at >= now.minus(HOUR / 4), "{head:?}");
        }
        let fresh = Place::before(now.minus(HOUR / 3));
        assert_eq!(Place::head(Some(fresh.clone()), now, HOUR), fresh);
    }

    proptest! {
        #[test]
        fn cursors_read_back_and_order_as_text(one in place(), other in place()) {
            let (a, b) = (one.cursor(EPOCH), other.cursor(EPOCH));
            prop_assert_eq!(Place::parse(&a, EPOCH), Some(one.clone()));
            prop_assert_eq!(a.cmp(&b), one.cmp(&other));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _read_or_not = Place::parse(&FeedCursor(format!("{EPOCH}.{text}")), EPOCH);
        }
    }
}
