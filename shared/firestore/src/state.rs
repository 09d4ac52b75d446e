//! A partition's state: slots and deltas in documents under its lease.
//!
//! The lease says which documents count. Those of deltas are written over by the deltas after the next snapshot but one, and a
//! slot alternates between two: a write never touches what the lease points to, and nothing is ever deleted.

use std::collections::BTreeMap;

use bytes::Bytes;
use firestore::gcloud_sdk::google::firestore::v1::Write;
use serde::{Deserialize, Serialize};
use threatstream_backend::{BackendError, PartitionId, SavedState, StateChange};

use crate::codec::{Fields, ReadFields, bytes, put};
use crate::error::{rejected, unavailable};
use crate::leases::{LEASES, Lease, lease_id};
use crate::store::FirestoreStore;

/// A document's share of a blob: a document is at most 1 MiB with its name.
const CHUNK: usize = 1_000_000;

/// What one commit may save; more would not pass beside its other writes.
const MAX_SAVED: usize = 64 << 20;

/// Where a partition's state lies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedIn {
    /// Grows with each snapshot; its last bit is in the deltas' names.
    generation: u64,
    /// For each delta since the snapshot, oldest first: how many documents it takes.
    deltas: Vec<u32>,
    /// Where each slot lies.
    slots: BTreeMap<u16, SlotPlace>,
}

/// Where a slot lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SlotPlace {
    /// Which of its two names.
    side: u8,
    /// How many documents it takes.
    documents: u32,
}

/// A document of the state to write: its id and its part of the blob.
type Part = (String, Bytes);

/// The ids of the documents that count, those of each blob in order.
struct Documents {
    slots: Vec<(u16, Vec<String>)>,
    deltas: Vec<Vec<String>>,
}

impl SavedIn {
    /// Where the state lies after a change, and what is to be written first.
    fn changed(&self, change: &StateChange) -> Result<(Self, Vec<Part>), BackendError> {
        let mut after = self.clone();
        let mut parts = Vec::new();
        if let Some(slots) = &change.snapshot {
            after.generation += 1;
            after.deltas.clear();
            for (number, slot) in slots {
                let side = self.slots.get(number).map_or(0, |place| 1 - place.side.min(1));
                let documents = chunks(slot, |at| slot_id(*number, side, at), &mut parts)?;
                after.slots.insert(*number, SlotPlace { side, documents });
            }
        } else if !change.delta.is_empty() {
            let next: u32 = self.deltas.iter().sum();
            let generation = self.generation;
            let documents = chunks(&change.delta, |at| delta_id(generation, next + at), &mut parts)?;
            after.deltas.push(documents);
        }
        if parts.iter().map(|(_, part)| part.len()).sum::<usize>() > MAX_SAVED {
            return Err(rejected("the state of a partition is too large to be saved"));
        }
        Ok((after, parts))
    }

    /// The documents of each slot and of each delta.
    fn documents(&self) -> Documents {
        let slots = self.slots.iter().map(|(number, place)| {
            let ids = (0..place.documents).map(|at| slot_id(*number, place.side, at));
            (*number, ids.collect())
        });
        let mut next = 0;
        let deltas = self.deltas.iter().map(|documents| {
            let first = next;
            next += documents;
            (first..next).map(|at| delta_id(self.generation, at)).collect()
        });
        Documents {
            slots: slots.collect(),
            deltas: deltas.collect(),
        }
    }
}

fn slot_id(number: u16, side: u8, at: u32) -> String {
    format!("s{number}-{side}-{at}")
}

fn delta_id(generation: u64, at: u32) -> String {
    format!("d{}-{at}", generation % 2)
}

/// Cuts a blob into documents; how many there are. An empty one is in none.
fn chunks(blob: &Bytes, id: impl Fn(u32) -> String, parts: &mut Vec<Part>) -> Result<u32, BackendError> {
    let documents = u32::try_from(blob.len().div_ceil(CHUNK)).map_err(|_| rejected("a state is too large"))?;
    for at in 0..documents {
        let start = at as usize * CHUNK;
        parts.push((id(at), blob.slice(start..blob.len().min(start + CHUNK))));
    }
    Ok(documents)
}

impl FirestoreStore {
    fn state_name(&self, id: &PartitionId, document: &str) -> String {
        format!("{}/state/{document}", self.client.name(LEASES, &lease_id(id)))
    }

    /// Where a partition's state lies after a change, and the writes that must not come later than that.
    pub(crate) fn change_state(
        &self,
        id: &PartitionId,
        saved: &SavedIn,
        change: &StateChange,
    ) -> Result<(SavedIn, Vec<Write>), BackendError> {
        let (after, parts) = saved.changed(change)?;
        let writes = parts
            .into_iter()
            .map(|(document, part)| put(self.state_name(id, &document), Fields::new().with("part", bytes(part))));
        Ok((after, writes.collect()))
    }

    /// Reads exactly the documents that the lease names, and the lease again with them: who reads while the partition moves
    /// on gets a state that was, and never a mixture.
    pub(crate) async fn load_saved(&self, id: &PartitionId) -> Result<SavedState, BackendError> {
        const ATTEMPTS: usize = 5;
        let mut lease = self.read_lease(id).await?.map(|stored| stored.lease);
        for _ in 0..ATTEMPTS {
            let Some(before) = lease else {
                return Ok(SavedState::default());
            };
            let Documents { slots, deltas } = before.state.documents();
            if slots.is_empty() && deltas.is_empty() {
                return Ok(SavedState::default());
            }
            let lease_name = self.client.name(LEASES, &lease_id(id));
            let ids = slots.iter().map(|(_, ids)| ids).chain(&deltas).flatten();
            let mut names: Vec<String> = ids.map(|document| self.state_name(id, document)).collect();
            names.push(lease_name.clone());
            let found = self.client.get_all(names).await?;
            let after: Option<Lease> = found
                .get(&lease_name)
                .map(|document| document.json("body"))
                .transpose()?;
            if after.as_ref().is_none_or(|after| after.state != before.state) {
                lease = after;
                continue;
            }
            let blob = |ids: &Vec<String>| -> Result<Bytes, BackendError> {
                let mut blob = Vec::new();
                for document in ids {
                    let part = found.get(&self.state_name(id, document));
                    let part =
                        part.ok_or_else(|| rejected(format!("{document} of {}'s state is missing", lease_id(id))))?;
                    blob.extend_from_slice(part.bytes("part")?);
                }
                Ok(blob.into())
            };
            return Ok(SavedState {
                slots: slots
                    .iter()
                    .map(|(number, ids)| Ok((*number, blob(ids)?)))
                    .collect::<Result<_, BackendError>>()?,
                deltas: deltas.iter().map(blob).collect::<Result<_, _>>()?,
            });
        }
        Err(unavailable("a state was changed each time it was read"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// What a sequence of changes must leave behind.
    #[derive(Default)]
    struct Model {
        slots: BTreeMap<u16, Bytes>,
        deltas: Vec<Bytes>,
    }

    impl Model {
        fn change(&mut self, change: &StateChange) {
            if let Some(slots) = &change.snapshot {
                self.slots.extend(slots.iter().cloned());
                self.deltas.clear();
            } else if !change.delta.is_empty() {
                self.deltas.push(change.delta.clone());
            }
        }
    }

    fn read(saved: &SavedIn, documents: &HashMap<String, Bytes>) -> (BTreeMap<u16, Bytes>, Vec<Bytes>) {
        let blob =
            |ids: &Vec<String>| Bytes::from(ids.iter().flat_map(|id| documents[id].to_vec()).collect::<Vec<u8>>());
        let Documents { slots, deltas } = saved.documents();
        (
            slots.iter().map(|(number, ids)| (*number, blob(ids))).collect(),
            deltas.iter().map(blob).collect(),
        )
    }

    fn change() -> impl Strategy<Value = StateChange> {
        let blob = (any::<u8>(), prop_oneof![1usize..20, Just(CHUNK), CHUNK + 1..CHUNK + 9]);
        let blob = blob.prop_map(|(byte, length)| Bytes::from(vec![byte; length]));
        let delta = prop_oneof![Just(Bytes::new()), blob.clone()];
        let snapshot = proptest::option::weighted(0.3, proptest::collection::btree_map(0u16..3, blob, 0..3));
        (delta, snapshot).prop_map(|(delta, slots)| StateChange {
            delta,
            snapshot: slots.map(|slots| slots.into_iter().collect()),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn changes_leave_what_they_say_and_touch_nothing_that_counts(changes in proptest::collection::vec(change(), 1..10)) {
            let (mut model, mut saved, mut documents) = (Model::default(), SavedIn::default(), HashMap::new());
            for change in changes {
                let before = read(&saved, &documents);
                let (after, parts) = saved.changed(&change).unwrap();
                prop_assert!(parts.iter().all(|(_, part)| part.len() <= CHUNK));
                documents.extend(parts);
                // Written ahead of the checkpoint, and the checkpoint never came.
                prop_assert_eq!(read(&saved, &documents), before);
                saved = after;
                model.change(&change);
                prop_assert_eq!(read(&saved, &documents), (model.slots.clone(), model.deltas.clone()));
            }
        }
    }
}
