//! Pages of lists that are ordered by a time, newest first.

use firestore::gcloud_sdk::google::firestore::v1::{Document, Value};
use threatstream_backend::{BackendError, Page};

use crate::codec::{ReadFields, id_of, int, reference};
use crate::place::Place;
use crate::query::{NAME, Query};
use crate::store::FirestoreStore;

/// Over how many shards the documents of a list are spread.
pub(crate) const SHARDS: u32 = 8;

/// How many documents a page looks at before it is given as it is, with a cursor to go on.
const MAX_SCANNED: usize = 1_000;

/// How many documents are asked for at once where not each of them is wanted.
const SCAN: usize = 250;

/// The shard of a document: the same for the same id, and evenly spread.
pub(crate) fn shard(id: &str) -> Value {
    // FNV-1a, which will be the same in every version of this program.
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    int(i64::from((hash ^ (hash >> 16)) % SHARDS))
}

/// Asks all shards, so that an index whose first field is the shard serves.
pub(crate) fn shards(query: Query) -> Query {
    query.among("shard", (0..SHARDS).map(|shard| int(i64::from(shard))))
}

/// A list and how it is ordered.
#[derive(Clone, Copy)]
pub(crate) struct List {
    /// The collection; it names the list's cursors too.
    pub(crate) collection: &'static str,
    /// The field that orders it: microseconds since 1970.
    pub(crate) time: &'static str,
    /// A second one, which a range of the query needs.
    pub(crate) then: Option<&'static str>,
    /// Whether documents are looked at one by one for something that the database cannot be asked.
    pub(crate) scanned: bool,
}

impl List {
    /// The query of everything in it, to which conditions are added.
    pub(crate) fn query(&self) -> Query {
        shards(Query::over(self.collection))
    }

    /// A query in the list's order.
    pub(crate) fn ordered(&self, query: Query) -> Query {
        let query = query.descending(self.time);
        let query = match self.then {
            Some(then) => query.descending(then),
            None => query,
        };
        query.descending(NAME)
    }

    /// A page of what a query finds and `item` gives something for.
    ///
    /// # Errors
    /// `Rejected` for a cursor that is not one of this list's.
    pub(crate) async fn page<T>(
        &self,
        store: &FirestoreStore,
        query: Query,
        limit: usize,
        cursor: Option<&str>,
        item: impl Fn(&Document) -> Result<Option<T>, BackendError> + Send,
    ) -> Result<Page<T>, BackendError> {
        let limit = limit.clamp(1, 10_000);
        let mut place = cursor.map(|cursor| Place::parse(self.collection, cursor)).transpose()?;
        if query.finds_nothing() {
            return Ok(self.part(Vec::new(), None));
        }
        let query = self.ordered(query);
        let mut items = Vec::new();
        let mut last_taken = None;
        let mut scanned = 0;
        loop {
            // One more than is wanted tells whether there is a next page.
            let wanted = limit + 1 - items.len();
            let asked = if self.scanned || scanned > 0 {
                wanted.max(SCAN)
            } else {
                wanted
            };
            let mut next = query.clone().limit(asked);
            if let Some(place) = &place {
                next = next.after(self.values(store, place)?);
            }
            let documents = store.client.query(next).await?.documents;
            for document in &documents {
                let here = self.place(document)?;
                if let Some(found) = item(document)? {
                    if items.len() == limit {
                        return Ok(self.part(items, last_taken));
                    }
                    items.push(found);
                    last_taken = Some(here.clone());
                }
                place = Some(here);
            }
            if documents.len() < asked {
                return Ok(self.part(items, None));
            }
            scanned += documents.len();
            if scanned >= MAX_SCANNED.max(limit + 1) {
                return Ok(self.part(items, place));
            }
        }
    }

    fn part<T>(&self, items: Vec<T>, next: Option<Place>) -> Page<T> {
        Page {
            items,
            next_cursor: next.map(|place| place.cursor(self.collection)),
        }
    }

    fn place(&self, document: &Document) -> Result<Place, BackendError> {
        Ok(Place {
            time: document.int(self.time)?,
            then: self.then.map(|then| document.int(then)).transpose()?,
            id: id_of(&document.name).to_owned(),
        })
    }

    fn values(&self, store: &FirestoreStore, place: &Place) -> Result<Vec<Value>, BackendError> {
        if place.then.is_some() != self.then.is_some() {
            return Err(crate::error::rejected("the cursor is one of another query"));
        }
        let mut values = vec![int(place.time)];
        values.extend(place.then.map(int));
        values.push(reference(format!(
            "{}/{}/{}",
            store.client.root(),
            self.collection,
            place.id
        )));
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn shards_are_evenly_filled() {
        let mut filled: HashMap<String, u32> = HashMap::new();
        for number in 0..8_000 {
            *filled
                .entry(format!("{:?}", shard(&format!("THR-{number:020x}"))))
                .or_default() += 1;
        }
        assert_eq!(filled.len(), 8);
        assert!(filled.values().all(|count| (700..1300).contains(count)), "{filled:?}");
    }
}
