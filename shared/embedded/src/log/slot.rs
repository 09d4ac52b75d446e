//! Numbers for partitions of topics, and for the blocks in them.

use crate::fault::{int, uint};

/// A topic has at most this many partitions.
pub(crate) const MAX_PARTITIONS: u32 = 1024;
const OFFSET_BITS: u32 = 40;

/// A partition of a topic: the topic's number times 1024, plus the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) i64);

impl Slot {
    pub(crate) fn of(topic: i64, partition: u32) -> Self {
        Self(topic * i64::from(MAX_PARTITIONS) + i64::from(partition))
    }

    pub(crate) fn topic(self) -> i64 {
        self.0 / i64::from(MAX_PARTITIONS)
    }

    pub(crate) fn partition(self) -> u32 {
        uint(self.0 % i64::from(MAX_PARTITIONS)) as u32
    }

    /// The ids that blocks of this slot have.
    pub(crate) fn ids(self) -> std::ops::RangeInclusive<i64> {
        (self.0 << OFFSET_BITS)..=(self.0 << OFFSET_BITS | ((1 << OFFSET_BITS) - 1))
    }
}

/// The id of the block that ends with this offset. An offset has 40 bits: a century at 300 records a second and partition.
pub(crate) fn block_id(slot: Slot, last_offset: u64) -> i64 {
    slot.0 << OFFSET_BITS | int(last_offset & ((1 << OFFSET_BITS) - 1))
}

/// The offset that the block of this id ends with.
pub(crate) fn last_offset(id: i64) -> u64 {
    uint(id & ((1 << OFFSET_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_a_slot_lie_together_in_order() {
        let slot = Slot::of(6, 1023);
        assert_eq!((slot.topic(), slot.partition()), (6, 1023));
        assert!(block_id(slot, 5) < block_id(slot, 6));
        assert!(slot.ids().contains(&block_id(slot, 0)));
        assert!(!slot.ids().contains(&block_id(Slot::of(7, 0), 0)));
        assert_eq!(last_offset(block_id(slot, 77)), 77);
    }
}
