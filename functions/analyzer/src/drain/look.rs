//! Comparing what the log holds with the checkpoints.

use threatstream_backend::{BackendError, Backends, Checkpoint, Watermarks};
use threatstream_domain::Timestamp;

/// How far the analysis of a topic is.
#[derive(Clone, Debug)]
pub(super) struct Look {
    topic: String,
    /// In the order of partitions.
    pub(super) places: Vec<Place>,
}

/// How far the analysis of a partition is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// The first record not yet analysed, as far as is known: others may be further.
    pub(super) next: u64,
    pub(super) low: u64,
    pub(super) high: u64,
    /// Who held it last has gone without publishing what was committed.
    pub(super) is_abandoned: bool,
    /// Not ours to work: another holds the lease.
    pub(super) is_denied: bool,
    /// It failed; it is left alone until the next drain.
    pub(super) is_broken: bool,
}

impl Place {
    /// Records that are there and not analysed.
    pub(super) fn lag(&self) -> u64 {
        // What retention has removed is no work: it is counted as lost when the next record comes.
        self.high.saturating_sub(self.next.max(self.low))
    }

    fn has_work(&self) -> bool {
        self.lag() > 0 || self.is_abandoned
    }

    /// There is something to do, and it has not failed.
    pub(super) fn is_due(&self) -> bool {
        self.has_work() && !self.is_broken
    }
}

impl Look {
    /// One read of the checkpoints, and one of the watermarks; nothing is written.
    pub(super) async fn at(backends: &Backends, topic: &str, now: Timestamp) -> Result<Self, BackendError> {
        let (checkpoints, watermarks) =
            futures_util::future::try_join(backends.store.checkpoints(topic), backends.log.watermarks(topic)).await?;
        let mut look = Self {
            topic: topic.to_owned(),
            places: vec![Place::default(); watermarks.len()],
        };
        look.see(&watermarks);
        look.stand(&checkpoints, now);
        Ok(look)
    }

    /// Reads the watermarks again.
    pub(super) async fn again(&mut self, backends: &Backends) -> Result<(), BackendError> {
        let watermarks = backends.log.watermarks(&self.topic).await?;
        self.see(&watermarks);
        Ok(())
    }

    /// Reads again how far others are, where others work.
    pub(super) async fn others(&mut self, backends: &Backends, now: Timestamp) -> Result<(), BackendError> {
        if self.places.iter().any(|place| place.is_denied) {
            let checkpoints = backends.store.checkpoints(&self.topic).await?;
            self.stand(&checkpoints, now);
        }
        Ok(())
    }

    fn see(&mut self, watermarks: &[Watermarks]) {
        for (place, marks) in self.places.iter_mut().zip(watermarks) {
            (place.low, place.high) = (marks.low, place.high.max(marks.high));
        }
    }

    fn stand(&mut self, checkpoints: &[Checkpoint], now: Timestamp) {
        for checkpoint in checkpoints {
            if let Some(place) = self.places.get_mut(checkpoint.partition as usize) {
                place.next = place.next.max(checkpoint.next_offset);
                place.is_abandoned = !checkpoint.unpublished.is_empty() && checkpoint.lease_until <= now;
            }
        }
    }

    /// The place of a partition; `None` where the topic has no such partition.
    pub(super) fn place(&mut self, partition: u32) -> Option<&mut Place> {
        self.places.get_mut(partition as usize)
    }

    /// The partitions with their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Place)> {
        (0..).zip(&self.places)
    }

    /// How many partitions the topic has.
    pub(super) fn partitions(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    /// Records that are not analysed.
    pub(super) fn pending(&self) -> u64 {
        self.places.iter().map(Place::lag).sum()
    }

    /// Partitions that others hold and that have something to do.
    pub(super) fn held_by_others(&self) -> usize {
        self.places
            .iter()
            .filter(|place| place.is_denied && place.has_work())
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_retention_removed_is_no_work() {
        let place = |next, low, high| Place {
            next,
            low,
            high,
            ..Place::default()
        };
        assert_eq!(place(3, 0, 10).lag(), 7);
        assert_eq!(place(3, 8, 10).lag(), 2);
        assert!(!place(3, 10, 10).is_due());
        assert_eq!(place(12, 0, 10).lag(), 0, "a log that lost its tail");
        let abandoned = Place {
            is_abandoned: true,
            ..place(10, 0, 10)
        };
        assert!(abandoned.is_due());
    }
}
