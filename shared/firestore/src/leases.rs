//! Leases and checkpoints: one document for each partition, with everything that a commit needs to know of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use firestore::gcloud_sdk::google::firestore::v1::{Document, Write};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use threatstream_backend::{BackendError, Checkpoint, Commit, CommitError, Leases, PartitionId, SavedState};
use threatstream_domain::{Tally, Threat, Timestamp, micros};

use crate::codec::{Fields, ReadFields, UpdateTime, int, only_if_at, put, text};
use crate::error::{BACKEND, Fault, unavailable};
use crate::query::Query;
use crate::retry::Attempts;
use crate::state::SavedIn;
use crate::store::FirestoreStore;

/// The collection of leases.
pub(crate) const LEASES: &str = "leases";

/// A partition, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lease {
    topic: String,
    partition: u32,
    /// How many partitions the topic has, for its life.
    partitions: u32,
    owner: Option<String>,
    pub(crate) owner_epoch: u64,
    pub(crate) next_offset: u64,
    pub(crate) batch_id: Option<String>,
    #[serde(with = "micros")]
    lease_until: Timestamp,
    pub(crate) unpublished: Vec<String>,
    pub(crate) tally: Tally,
    pub(crate) lost: u64,
    pub(crate) totals: StoredTotals,
    pub(crate) state: SavedIn,
}

/// What the commits of one partition have stored since the beginning, so that counting costs no write of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredTotals {
    pub(crate) threats: u64,
    pub(crate) alerts: u64,
    /// Threats by severity, as it was when they were stored.
    pub(crate) severity: BTreeMap<String, u64>,
    /// Threats by type.
    pub(crate) types: BTreeMap<String, u64>,
}

impl StoredTotals {
    /// Counts a threat that is stored now.
    pub(crate) fn count(&mut self, threat: &Threat) {
        self.threats += 1;
        *self.severity.entry(threat.severity.as_str().to_owned()).or_default() += 1;
        *self.types.entry(threat.threat_type.as_str().to_owned()).or_default() += 1;
    }
}

impl Lease {
    fn new(id: &PartitionId, partitions: u32) -> Self {
        Self {
            topic: id.topic.clone(),
            partition: id.partition,
            partitions,
            owner: None,
            owner_epoch: 0,
            next_offset: 0,
            batch_id: None,
            lease_until: Timestamp::EPOCH,
            unpublished: Vec::new(),
            tally: Tally::default(),
            lost: 0,
            totals: StoredTotals::default(),
            state: SavedIn::default(),
        }
    }

    fn is_open_to(&self, owner: &str, now: Timestamp) -> bool {
        match &self.owner {
            None => true,
            Some(holder) => holder == owner || self.lease_until <= now,
        }
    }

    fn is_held_with(&self, owner_epoch: u64) -> bool {
        self.owner_epoch == owner_epoch && self.owner.is_some()
    }

    /// Lets it hold until then, unless it holds longer, or was given up.
    pub(crate) fn prolong(&mut self, until: Timestamp) {
        if self.owner.is_some() {
            self.lease_until = self.lease_until.max(until);
        }
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            partition: self.partition,
            next_offset: self.next_offset,
            owner_epoch: self.owner_epoch,
            batch_id: self.batch_id.clone(),
            lease_until: self.lease_until,
            unpublished: self.unpublished.clone(),
            tally: self.tally,
            lost: self.lost,
        }
    }
}

/// A lease and when it was written last.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) lease: Lease,
    pub(crate) update_time: UpdateTime,
}

impl Stored {
    fn of(document: &Document) -> Result<Self, BackendError> {
        Ok(Self {
            lease: document.json("body")?,
            update_time: document
                .update_time
                .ok_or_else(|| unavailable("a document came without the time of its last write"))?,
        })
    }
}

/// What is remembered of a partition: the lease as it was last read or written here. Whoever works on a partition keeps it
/// locked, so that a renewal and a commit of one process do not collide.
pub(crate) type Remembered = Arc<tokio::sync::Mutex<Option<Stored>>>;

/// What is remembered of all partitions. It may be out of date, and is a condition of every write that relies on it.
#[derive(Default)]
pub(crate) struct Held(Mutex<HashMap<PartitionId, Remembered>>);

impl Held {
    pub(crate) fn of(&self, id: &PartitionId) -> Remembered {
        Arc::clone(self.0.lock().entry(id.clone()).or_default())
    }
}

/// The id of a partition's document.
pub(crate) fn lease_id(id: &PartitionId) -> String {
    format!("{}~{}", id.topic, id.partition)
}

impl FirestoreStore {
    pub(crate) async fn read_lease(&self, id: &PartitionId) -> Result<Option<Stored>, BackendError> {
        let document = self.client.get(self.client.name(LEASES, &lease_id(id))).await?;
        document.as_ref().map(Stored::of).transpose()
    }

    /// The write of a lease, if it was last written then; `None`: if it is not there.
    pub(crate) fn lease_write(
        &self,
        id: &PartitionId,
        lease: &Lease,
        at: Option<UpdateTime>,
    ) -> Result<Write, BackendError> {
        let fields = Fields::new()
            .with("topic", text(lease.topic.as_str()))
            .with("partition", int(lease.partition.into()))
            .with_json("body", lease)?;
        Ok(only_if_at(put(self.client.name(LEASES, &lease_id(id)), fields), at))
    }

    async fn write_lease(&self, id: &PartitionId, lease: Lease, at: Option<UpdateTime>) -> Result<Stored, Fault> {
        let committed = self.client.commit(vec![self.lease_write(id, &lease, at)?]).await?;
        Ok(Stored {
            update_time: committed.first()?,
            lease,
        })
    }

    /// Changes a lease that is held with this epoch; false: it no longer is.
    async fn change_held(
        &self,
        id: &PartitionId,
        owner_epoch: u64,
        change: impl Fn(&mut Lease) + Send + Sync,
    ) -> Result<bool, BackendError> {
        let remembered = self.held.of(id);
        let mut remembered = remembered.lock().await;
        let mut known = remembered
            .take()
            .filter(|stored| stored.lease.is_held_with(owner_epoch));
        let mut attempts = Attempts::new("the change of a lease");
        loop {
            let stored = match known.take() {
                Some(stored) => stored,
                None => match self.read_lease(id).await? {
                    Some(stored) if stored.lease.is_held_with(owner_epoch) => stored,
                    _ => return Ok(false),
                },
            };
            let mut lease = stored.lease;
            change(&mut lease);
            match self.write_lease(id, lease, Some(stored.update_time)).await {
                Ok(stored) => {
                    *remembered = Some(stored);
                    return Ok(true);
                }
                Err(fault) => attempts.again(fault).await?,
            }
        }
    }

    /// How many partitions a topic was worked with; `None`: none of them was ever leased.
    async fn worked_with(&self, topic: &str) -> Result<Option<u32>, BackendError> {
        let of_topic = Query::over(LEASES).equal("topic", text(topic)).limit(1);
        let found = self.client.query(of_topic).await?;
        let other = found.documents.first().map(Stored::of).transpose()?;
        Ok(other.map(|other| other.lease.partitions))
    }
}

/// Every partition that was ever leased.
pub(crate) async fn all(store: &FirestoreStore) -> Result<Vec<Lease>, BackendError> {
    let found = store.client.query(Query::over(LEASES)).await?;
    found.documents.iter().map(|document| document.json("body")).collect()
}

#[async_trait]
impl Leases for FirestoreStore {
    async fn acquire(
        &self,
        id: &PartitionId,
        partitions: u32,
        owner: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Checkpoint>, BackendError> {
        id.check(partitions, None, BACKEND)?;
        let remembered = self.held.of(id);
        let mut remembered = remembered.lock().await;
        let mut attempts = Attempts::new("the taking of a lease");
        loop {
            let stored = self.read_lease(id).await?;
            let at = stored.as_ref().map(|stored| stored.update_time);
            let mut lease = match stored {
                Some(stored) => {
                    id.check(partitions, Some(stored.lease.partitions), BACKEND)?;
                    if !stored.lease.is_open_to(owner, now) {
                        return Ok(None);
                    }
                    stored.lease
                }
                None => {
                    id.check(partitions, self.worked_with(&id.topic).await?, BACKEND)?;
                    Lease::new(id, partitions)
                }
            };
            lease.owner = Some(owner.to_owned());
            lease.owner_epoch += 1;
            lease.lease_until = now.plus(ttl);
            match self.write_lease(id, lease, at).await {
                Ok(stored) => {
                    let checkpoint = stored.lease.checkpoint();
                    *remembered = Some(stored);
                    return Ok(Some(checkpoint));
                }
                Err(fault) => attempts.again(fault).await?,
            }
        }
    }

    async fn renew(
        &self,
        id: &PartitionId,
        owner_epoch: u64,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<bool, BackendError> {
        let until = now.plus(ttl);
        self.change_held(id, owner_epoch, |lease| lease.lease_until = until)
            .await
    }

    async fn release(&self, id: &PartitionId, owner_epoch: u64) -> Result<(), BackendError> {
        let released = self.change_held(id, owner_epoch, |lease| {
            lease.owner = None;
            lease.lease_until = Timestamp::EPOCH;
        });
        released.await.map(|_| ())
    }

    async fn checkpoints(&self, topic: &str) -> Result<Vec<Checkpoint>, BackendError> {
        let found = self
            .client
            .query(Query::over(LEASES).equal("topic", text(topic)))
            .await?;
        let mut checkpoints: Vec<Checkpoint> = found
            .documents
            .iter()
            .map(|document| document.json::<Lease>("body").map(|lease| lease.checkpoint()))
            .collect::<Result<_, _>>()?;
        checkpoints.sort_by_key(|checkpoint| checkpoint.partition);
        Ok(checkpoints)
    }

    async fn load_state(&self, id: &PartitionId) -> Result<SavedState, BackendError> {
        self.load_saved(id).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.make_commit(commit).await
    }
}
