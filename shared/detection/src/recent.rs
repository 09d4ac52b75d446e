//! The filter that drops duplicates: the fingerprints of the last so many records of a partition.

use std::collections::{HashSet, VecDeque};

/// How many records back a duplicate is known.
pub const REMEMBERED: usize = 200_000;

/// Fingerprints in a saved chunk: 800 kB, below what a store takes in one value.
const CHUNK: usize = 50_000;
/// More fingerprints than any partition will ever see: a chunk that says it begins beyond is damaged.
const BEYOND: u64 = 1 << 62;
/// Enough chunks for all that is remembered, wherever the oldest begins.
const CHUNKS: u64 = (REMEMBERED / CHUNK + 1) as u64;

/// The last [`REMEMBERED`] fingerprints. It is saved as a delta with each commit (the new fingerprints) and, now and then, as
/// numbered chunks, of which only those that changed since are written again.
#[derive(Debug, Default)]
pub struct Recent {
    order: VecDeque<u128>,
    known: HashSet<u128>,
    /// How many were ever inserted; the chunk a fingerprint lies in follows from its number.
    inserted: u64,
    /// What `inserted` was when the chunks were last saved.
    saved: u64,
}

impl Recent {
    /// True when the fingerprint is new; it is remembered from now on.
    pub fn insert(&mut self, fingerprint: u128) -> bool {
        if !self.known.insert(fingerprint) {
            return false;
        }
        self.order.push_back(fingerprint);
        self.inserted += 1;
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// True when it was inserted and not yet forgotten.
    #[must_use]
    pub fn contains(&self, fingerprint: u128) -> bool {
        self.known.contains(&fingerprint)
    }

    /// The chunks that changed since the last call, by slot number from `first_slot`; at most 5 slots are ever used.
    pub fn save(&mut self, first_slot: u16) -> Vec<(u16, Vec<u8>)> {
        let oldest = self.inserted - self.order.len() as u64;
        let changed_from = (self.saved / CHUNK as u64).max(oldest / CHUNK as u64);
        let chunks = changed_from..self.inserted.div_ceil(CHUNK as u64);
        let slots = chunks
            .map(|chunk| {
                let start = (chunk * CHUNK as u64).max(oldest);
                let end = ((chunk + 1) * CHUNK as u64).min(self.inserted);
                let mut bytes = Vec::with_capacity(8 + CHUNK * 16);
                bytes.extend(start.to_le_bytes());
                for at in start..end {
                    bytes.extend(self.order[(at - oldest) as usize].to_le_bytes());
                }
                let slot = first_slot + (chunk % CHUNKS) as u16;
                (slot, bytes)
            })
            .collect();
        self.saved = self.inserted;
        slots
    }

    /// What was last saved may not have been stored: the next [`Recent::save`] gives every chunk that counts.
    pub fn not_saved(&mut self) {
        self.saved = 0;
    }

    /// What [`Recent::save`] wrote, in any order of slots; chunks that no longer count are ignored.
    #[must_use]
    pub fn load<'a>(slots: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut chunks: Vec<(u64, &[[u8; 16]])> = slots
            .into_iter()
            .filter_map(|bytes| {
                let (start, rest) = bytes.split_first_chunk::<8>()?;
                let start = u64::from_le_bytes(*start);
                (start < BEYOND).then_some((start, rest.as_chunks::<16>().0))
            })
            .collect();
        chunks.sort_unstable_by_key(|(start, _)| *start);
        let mut recent = Self::default();
        for (start, prints) in chunks {
            if recent.order.is_empty() {
                recent.inserted = start;
            }
            for (number, print) in (start..).zip(prints) {
                // A chunk saved before the newest one may begin with what has been forgotten since; order settles that.
                if number == recent.inserted {
                    recent.insert(u128::from_le_bytes(*print));
                }
            }
        }
        recent.saved = recent.inserted;
        recent
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_200_000_are_known_and_no_more() {
        let mut recent = Recent::default();
        for print in 0..REMEMBERED as u128 {
            assert!(recent.insert(print));
        }
        assert!(!recent.insert(0));
        assert!(recent.insert(u128::MAX));
        assert!(!recent.contains(0) && recent.contains(1));
    }

    #[test]
    fn a_damaged_chunk_counts_for_nothing() {
        let mut recent = Recent::load([[0xff; 24].as_slice(), &[0; 7]]);
        assert!(recent.insert(1) && recent.contains(1));
        assert_eq!(recent.save(0).len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn saving_piece_by_piece_restores_the_same(batches in prop::collection::vec(1usize..90_000, 1..9)) {
            let mut recent = Recent::default();
            let mut stored = BTreeMap::new();
            let mut next = 0u128;
            for batch in batches {
                for _ in 0..batch {
                    recent.insert(next);
                    next += 1;
                }
                for (slot, bytes) in recent.save(3) {
                    prop_assert!((3..8).contains(&slot) && bytes.len() < 900 * 1024);
                    stored.insert(slot, bytes);
                }
            }
            let restored = Recent::load(stored.values().map(Vec::as_slice));
            prop_assert_eq!(&restored.order, &recent.order);
            prop_assert_eq!(restored.inserted, recent.inserted);
        }
    }
}
