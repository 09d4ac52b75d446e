//! What everything stored here has in common: documents that expire, and writes that the process is told of.

use std::time::Duration;

use firestore::gcloud_sdk::google::firestore::v1::{Document, Write};
use threatstream_backend::BackendError;

use crate::client::Committed;
use crate::codec::{Fields, ReadFields, merge, only_if_at};
use crate::error::{Fault, rejected};
use crate::store::FirestoreStore;

/// The field after which a document is as good as deleted.
pub(crate) const EXPIRES_AT: &str = "expires_at";

/// A body is at most this long: a document may have 1 MiB, with its name and its other fields.
pub(crate) const MAX_BODY_BYTES: usize = 900 * 1024;

/// When to look for what became of a write; a connection that was lost may take a moment to come back.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(400)];

impl FirestoreStore {
    /// True until a document's time is up, whether the database has removed it by then or not. What has no such time stays.
    pub(crate) fn is_live(&self, document: &Document) -> bool {
        match document.time(EXPIRES_AT) {
            Ok(expires_at) => expires_at > self.options.clock.now(),
            Err(_) => true,
        }
    }

    /// A document that has not expired.
    pub(crate) async fn live_document(&self, collection: &str, id: &str) -> Result<Option<Document>, BackendError> {
        let document = self.client.get(self.client.name(collection, id)).await?;
        Ok(document.filter(|document| self.is_live(document)))
    }

    /// Makes all writes or none, and lets this process know.
    pub(crate) async fn write(&self, writes: Vec<Write>) -> Result<Committed, Fault> {
        let committed = self.client.commit(writes).await?;
        self.tick();
        Ok(committed)
    }

    /// After a write whose answer was lost: true when it was made, as this field of its document shows.
    pub(crate) async fn was_made(&self, name: &str, field: &str, written: &[u8]) -> bool {
        for pause in LOOKS {
            tokio::time::sleep(pause).await;
            if let Ok(document) = self.client.get(name.to_owned()).await {
                return document.is_some_and(|document| document.bytes(field).is_ok_and(|stored| stored == written));
            }
        }
        // Nobody knows: it is for the caller to try again.
        false
    }
}

/// Writes these fields of a document, if nobody has written it since it was read.
pub(crate) fn changed(read: &Document, fields: Fields) -> Write {
    only_if_at(merge(read.name.clone(), fields), read.update_time)
}

/// Why a value could not be written as JSON: it is not one that this program makes.
#[expect(clippy::needless_pass_by_value, reason = "this is what `map_err` gives")]
pub(crate) fn unwritable(error: serde_json::Error) -> BackendError {
    rejected(format!("it cannot be written as JSON: {error}"))
}
