//! What is used, counted as production bills it.

use std::sync::atomic::{AtomicU64, Ordering};

use firestore::gcloud_sdk::google::firestore::v1::{Write, write::Operation};

/// Documents read, written and deleted, as production bills them.
///
/// A query costs a read for each document it returns and at least one; a lookup costs one for each document asked for, there
/// or not; a listener costs one for each document it is told of. What a TTL policy deletes later is billed too, and not
/// counted here: one delete for each document that expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Documents read.
    pub reads: u64,
    /// Documents written; transforms of the same document are part of its write.
    pub writes: u64,
    /// Documents deleted.
    pub deletes: u64,
}

impl Usage {
    /// What these writes will have used.
    pub(crate) fn of(writes: &[Write]) -> Self {
        let deletes = writes
            .iter()
            .filter(|write| matches!(write.operation, Some(Operation::Delete(_))))
            .count();
        Self {
            reads: 0,
            writes: (writes.len() - deletes) as u64,
            deletes: deletes as u64,
        }
    }
}

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    reads: AtomicU64,
    writes: AtomicU64,
    deletes: AtomicU64,
    late: AtomicU64,
}

impl Meter {
    pub(crate) fn read(&self, documents: usize) {
        self.reads.fetch_add(documents as u64, Ordering::Relaxed);
    }

    /// A query's answer: nothing found is billed as one.
    pub(crate) fn queried(&self, documents: usize) {
        self.read(documents.max(1));
    }

    pub(crate) fn committed(&self, counted: Usage) {
        self.deletes.fetch_add(counted.deletes, Ordering::Relaxed);
        self.writes.fetch_add(counted.writes, Ordering::Relaxed);
    }

    /// A record of the feed was given out after a later one.
    pub(crate) fn came_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            deletes: self.deletes.load(Ordering::Relaxed),
        }
    }
}
