//! What blocks one address.

use std::cmp::Reverse;

use firestore::gcloud_sdk::google::firestore::v1::{Document, Write};
use threatstream_backend::BackendError;
use threatstream_domain::{BlockEntry, Timestamp};

use crate::codec::{Fields, ReadFields, UpdateTime, bytes, delete, only_if_at, put, text, time};
use crate::documents::{EXPIRES_AT, MAX_BODY_BYTES, unwritable};

/// The blocks of an address, one of each execution, so that one that lifts its block does not lift another's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Blocks(Vec<BlockEntry>);

impl Blocks {
    /// As they are stored.
    pub(super) fn read(document: &Document) -> Result<Self, BackendError> {
        document.json("body").map(Self)
    }

    /// Of two blocks of one execution the later end counts.
    pub(super) fn block(&mut self, entry: &BlockEntry) {
        match self.0.iter_mut().find(|known| known.execution_id == entry.execution_id) {
            Some(known) if known.expires_at >= entry.expires_at => {}
            Some(known) => known.clone_from(entry),
            None => self.0.push(entry.clone()),
        }
    }

    /// Lifts what this execution set.
    pub(super) fn unblock(&mut self, execution_id: &str) {
        self.0.retain(|entry| entry.execution_id != execution_id);
    }

    /// The block that holds longest; `None` when all are over.
    pub(super) fn strongest(self, now: Timestamp) -> Option<BlockEntry> {
        let holding = self.0.into_iter().filter(|entry| entry.expires_at > now);
        holding.min_by(|a, b| {
            let longest = b.expires_at.cmp(&a.expires_at);
            longest.then_with(|| (a.blocked_at, &a.execution_id).cmp(&(b.blocked_at, &b.execution_id)))
        })
    }

    /// The write that replaces what was last written at `update_time`. What is over is left out.
    pub(super) fn write(
        mut self,
        name: String,
        ip: &str,
        update_time: Option<UpdateTime>,
        now: Timestamp,
    ) -> Result<Write, BackendError> {
        self.0.retain(|entry| entry.expires_at > now);
        self.0.sort_by_key(|entry| Reverse(entry.expires_at));
        let Some(last) = self.0.first().map(|entry| entry.expires_at) else {
            return Ok(match update_time {
                Some(_) => only_if_at(delete(name), update_time),
                None => delete(name),
            });
        };
        let mut body = serde_json::to_vec(&self.0).map_err(unwritable)?;
        while body.len() > MAX_BODY_BYTES && self.0.len() > 1 {
            // What ends first matters least: while others hold, the address stays blocked without it.
            self.0.truncate(self.0.len() / 2);
            body = serde_json::to_vec(&self.0).map_err(unwritable)?;
        }
        let fields = Fields::new()
            .with("ip", text(ip))
            .with("body", bytes(body))
            .with(EXPIRES_AT, time(last));
        Ok(only_if_at(put(name, fields), update_time))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use threatstream_backend::conformance::samples::{block, noon};

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        noon().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn an_execution_prolongs_its_own_block_and_lifts_no_other() {
        let mut blocks = Blocks::default();
        for (execution, seconds) in [("EXE-1", 60), ("EXE-1", 30), ("EXE-2", 90), ("EXE-1", 120)] {
            blocks.block(&block("192.0.2.1", execution, seconds));
        }
        assert_eq!(blocks.0.len(), 2);
        assert_eq!(blocks.clone().strongest(noon()).unwrap().execution_id, "EXE-1");
        blocks.unblock("EXE-1");
        assert_eq!(blocks.clone().strongest(noon()).unwrap().expires_at, at(90));
        assert_eq!(blocks.clone().strongest(at(90)), None);
        blocks.unblock("EXE-1");
        assert_eq!(blocks.0.len(), 1);
    }

    #[test]
    fn what_is_over_is_not_written_again() {
        let blocks = Blocks(vec![block("192.0.2.1", "EXE-1", 60), block("192.0.2.1", "EXE-2", 90)]);
        let write = blocks
            .clone()
            .write("name".to_owned(), "192.0.2.1", None, at(60))
            .unwrap();
        let Some(firestore::gcloud_sdk::google::firestore::v1::write::Operation::Update(document)) = write.operation
        else {
            panic!("{write:?}");
        };
        assert_eq!(Blocks::read(&document).unwrap().0.len(), 1);
        assert_eq!(document.time(EXPIRES_AT).unwrap(), at(90));
        let write = blocks.write("name".to_owned(), "192.0.2.1", None, at(90)).unwrap();
        assert!(matches!(
            write.operation,
            Some(firestore::gcloud_sdk::google::firestore::v1::write::Operation::Delete(
                _
            ))
        ));
    }

    #[test]
    fn an_address_that_everybody_blocks_stays_within_a_document() {
        let mut blocks = Blocks::default();
        for at in 0..10_000 {
            blocks.block(&block("192.0.2.1", &format!("EXE-{at}"), 60 + at));
        }
        let write = blocks.write("name".to_owned(), "192.0.2.1", None, noon()).unwrap();
        let Some(firestore::gcloud_sdk::google::firestore::v1::write::Operation::Update(document)) = write.operation
        else {
            panic!("{write:?}");
        };
        assert!(document.bytes("body").unwrap().len() <= MAX_BODY_BYTES);
        assert_eq!(document.time(EXPIRES_AT).unwrap(), at(60 + 9_999));
    }
}
