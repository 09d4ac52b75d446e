//! Holding the partition: taking, renewing and giving up its lease, and what is due at both ends.

use futures_util::{StreamExt, TryStreamExt, stream};
use threatstream_backend::{BackendError, Backends, Checkpoint, CommitError, PartitionId};
use threatstream_domain::{Clock, Threat, Timestamp};

use super::Judge;
use super::held::Held;
use crate::{LEASE, LEASE_ROUND, StageError, batch, publish};

/// Threats that are published between two looks at how long the lease still holds, and how many of them are read at once.
const PART: usize = 64;
const READS: usize = 16;

impl Judge {
    /// Renews the lease when less than half of it is left, or takes it if it is free: that is looked for every [`LEASE_ROUND`].
    ///
    /// # Errors
    /// What a backend fails with, and state that cannot be read.
    pub(crate) async fn hold(&mut self) -> Result<(), StageError> {
        let now = self.dependencies.clock.now();
        // A clock that was set back must not keep leases from being renewed, or taken.
        let is_early = match &self.held {
            Some(held) => !must_renew(held.until, now),
            None => now < self.next_round && self.next_round.since(now) <= LEASE_ROUND,
        };
        if is_early {
            return Ok(());
        }
        let backends = self.dependencies.backends.clone();
        let id = self.id();
        self.next_round = now.plus(LEASE_ROUND);
        if let Some(held) = &mut self.held {
            if backends.store.renew(&id, held.epoch, LEASE, now).await? {
                held.until = now.plus(LEASE);
            } else {
                tracing::info!(partition = self.partition, "another took the partition");
                self.held = None;
            }
        } else if let Some(mut checkpoint) = backends
            .store
            .acquire(&id, self.partitions, &self.dependencies.owner, LEASE, now)
            .await?
        {
            if !publish_rest(&backends, &self.dependencies.clock, &id, &mut checkpoint).await? {
                tracing::info!(partition = self.partition, "another took the partition at once");
                return Ok(());
            }
            let held = match self.parked.take() {
                Some(mut held) if held.is_current(&checkpoint) => {
                    held.epoch = checkpoint.owner_epoch;
                    held.until = checkpoint.lease_until;
                    held.names_unpublished = !checkpoint.unpublished.is_empty();
                    held
                }
                _ => Held::load(checkpoint, &backends.store.load_state(&id).await?)?,
            };
            self.held = Some(held);
        }
        Ok(())
    }

    /// Gives up the lease and keeps the state, in case that the partition is taken again before another has it.
    pub(crate) async fn park(&mut self) {
        self.next_round = Timestamp::EPOCH;
        let Some(mut held) = self.held.take() else { return };
        let backends = self.dependencies.backends.clone();
        self.progress.tell_now(&backends, &backends.topics.matches).await;
        let id = self.id();
        let mut is_known = true;
        if held.is_published && held.names_unpublished {
            let batch_id = format!("{}-{}-end", self.dependencies.owner, held.epoch);
            let last = held.still(id.clone(), batch_id.clone(), self.dependencies.clock.now());
            let until = last.lease_until;
            match backends.store.commit(last).await {
                Ok(()) => held.committed(held.next_offset, batch_id, 0, until),
                Err(error) => {
                    is_known = false;
                    tracing::debug!(%error, partition = self.partition, "the next holder publishes the last batch again");
                }
            }
        }
        if let Err(error) = backends.store.release(&id, held.epoch).await {
            tracing::warn!(%error, partition = self.partition, "lease not released; it runs out by itself");
        }
        held.reader = None;
        self.parked = (is_known && held.is_published).then_some(held);
    }

    /// Gives up the lease after a failure, if the store takes that; nothing is kept.
    pub(crate) async fn abandon(&mut self) {
        if let Some(epoch) = self.held.as_ref().map(|held| held.epoch) {
            let released = self.dependencies.backends.store.release(&self.id(), epoch).await;
            if let Err(error) = released {
                tracing::debug!(%error, partition = self.partition, "lease not released; it runs out by itself");
            }
        }
        self.forget();
    }

    /// Writes the whole state when the deltas have grown; everything is published by then. Where it cannot be stored, the deltas
    /// go on: nothing is lost, and what is wrong with the store shows in the next commit.
    pub(super) async fn compact(&mut self) {
        let id = self.id();
        let Some(held) = self.held.as_mut().filter(|held| held.must_compact()) else {
            return;
        };
        let batch_id = format!("{}-{}-s{}", self.dependencies.owner, held.epoch, self.batches);
        let (commit, bytes) = held.compaction(id, batch_id.clone(), self.dependencies.clock.now());
        let until = commit.lease_until;
        match batch::commit(&self.dependencies.backends, commit).await {
            Ok(()) => held.compacted(batch_id, bytes, until),
            Err(CommitError::Backend(error)) => {
                tracing::error!(%error, bytes, partition = self.partition, "the state was not compacted");
                held.not_compacted();
            }
            Err(error) => {
                tracing::info!(partition = self.partition, %error, "commit refused; what is in memory is thrown away");
                self.forget();
            }
        }
    }
}

/// Less than half of the lease is left, or more than a whole one: the clock was set back.
fn must_renew(until: Timestamp, now: Timestamp) -> bool {
    !(LEASE / 2..=LEASE).contains(&until.since(now))
}

/// Publishes what the last holder committed and may not have published, and keeps the lease meanwhile. False: it is lost.
async fn publish_rest(
    backends: &Backends,
    clock: &Clock,
    id: &PartitionId,
    checkpoint: &mut Checkpoint,
) -> Result<bool, BackendError> {
    for ids in checkpoint.unpublished.chunks(PART) {
        let reads: Vec<_> = ids.iter().map(|id| backends.store.threat(id)).collect();
        let found: Vec<Option<Threat>> = stream::iter(reads).buffered(READS).try_collect().await?;
        let threats: Vec<Threat> = found.into_iter().flatten().collect();
        publish::publish(backends, &threats, clock.now()).await?;
        let now = clock.now();
        if must_renew(checkpoint.lease_until, now) {
            let epoch = checkpoint.owner_epoch;
            if !backends.store.renew(id, epoch, LEASE, now).await? {
                return Ok(false);
            }
            checkpoint.lease_until = now.plus(LEASE);
        }
    }
    Ok(true)
}
