//! Counters over time, and sums since the beginning.
//!
//! Nothing here has a document that everybody writes. Minutes are counted by partition, and sums are kept in each partition's
//! lease, both by the commits themselves; what is read is added up.

mod minutes;

use std::collections::BTreeMap;

use async_trait::async_trait;
use firestore::gcloud_sdk::google::firestore::v1::Write;
use threatstream_backend::{Analytics, BackendError, Totals};
use threatstream_domain::{MinuteStats, Severity, Timestamp};

pub(crate) use minutes::{RecentMinutes, UPDATED_AT};

use crate::codec::{Fields, ReadFields, and_increment, int, merge, time};
use crate::documents::EXPIRES_AT;
use crate::leases;
use crate::query::Query;
use crate::responses::BLOCKS;
use crate::store::FirestoreStore;

/// The document that counts what changes of threats moved from one severity to another, a field a severity.
const CHANGES: (&str, &str) = ("counters", "changes");

/// The most that is counted of a blocklist.
const MAX_COUNTED: u64 = 10_000_000;

/// What all partitions stored since the beginning.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) threats: u64,
    pub(crate) alerts: u64,
    /// By severity, as threats are now.
    pub(crate) severity: BTreeMap<String, u64>,
    /// By type.
    pub(crate) types: BTreeMap<String, u64>,
}

#[async_trait]
impl Analytics for FirestoreStore {
    async fn minutes(&self, from: i64, to: i64) -> Result<Vec<MinuteStats>, BackendError> {
        self.read_minutes(from, to).await
    }

    async fn totals(&self, now: Timestamp) -> Result<Totals, BackendError> {
        let blocks = Query::over(BLOCKS).above(EXPIRES_AT, time(now));
        let (sums, blocked) = tokio::try_join!(self.sums(), self.client.count(blocks, MAX_COUNTED))?;
        Ok(Totals {
            alerts_generated: sums.alerts,
            threats_detected: sums.threats,
            critical: sums.severity.get(Severity::Critical.as_str()).copied().unwrap_or(0),
            blocked,
        })
    }
}

impl FirestoreStore {
    /// Adds up what each partition's commits stored, and what changes moved since.
    pub(crate) async fn sums(&self) -> Result<Sums, BackendError> {
        let (collection, id) = CHANGES;
        let changes = self.client.get(self.client.name(collection, id));
        let (leases, changes) = tokio::try_join!(leases::all(self), changes)?;
        let mut sums = Sums::default();
        for lease in leases {
            let stored = lease.totals;
            sums.threats += stored.threats;
            sums.alerts += stored.alerts;
            for (all, some) in [(&mut sums.severity, stored.severity), (&mut sums.types, stored.types)] {
                for (name, count) in some {
                    *all.entry(name).or_default() += count;
                }
            }
        }
        if let Some(changes) = changes {
            for severity in Severity::NAMES {
                let moved = changes.count(severity)?;
                if moved != 0 {
                    let count = sums.severity.entry((*severity).to_owned()).or_default();
                    *count = count.saturating_add_signed(moved);
                }
            }
        }
        Ok(sums)
    }
}

/// The write that moves one threat from a severity to another in the counts.
pub(crate) fn severity_moved(store: &FirestoreStore, from: Severity, to: Severity) -> Write {
    let (collection, id) = CHANGES;
    let write = merge(store.client.name(collection, id), Fields::new());
    let write = and_increment(write, from.as_str(), int(-1));
    and_increment(write, to.as_str(), int(1))
}
