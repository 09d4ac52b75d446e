//! Which partitions a matcher holds: taking, renewing and giving up leases.

use std::collections::BTreeSet;

use futures_util::future::{join_all, try_join_all};
use threatstream_backend::{BackendError, Checkpoint};
use threatstream_domain::Timestamp;

use super::Matcher;
use super::held::Held;
use crate::{LEASE, LEASE_ROUND, StageError};

/// What the store says of a lease.
enum Asked {
    /// Whether it is still ours.
    Renewed(bool),
    /// It is ours now, unless another holds it.
    Taken(Option<Checkpoint>),
}

impl Matcher {
    /// Works these partitions alone, from the next step on; what is held beside them is given up.
    pub(crate) fn only(&mut self, partitions: BTreeSet<u32>) {
        self.only = Some(partitions);
        self.next_round = Timestamp::EPOCH;
    }

    fn is_wanted(&self, partition: u32) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&partition))
    }

    /// Renews what is held and takes what is free, when it is time to: every [`LEASE_ROUND`].
    ///
    /// # Errors
    /// What the store fails with.
    pub(crate) async fn hold(&mut self) -> Result<(), StageError> {
        let now = self.dependencies.clock.now();
        // A clock that was set back must not keep leases from being renewed.
        if now < self.next_round && self.next_round.since(now) <= LEASE_ROUND {
            return Ok(());
        }
        let unwanted: Vec<u32> = self
            .held
            .keys()
            .copied()
            .filter(|held| !self.is_wanted(*held))
            .collect();
        self.give_up(unwanted).await;
        let mut changed = false;
        let mut taken = Vec::new();
        for (partition, asked) in self.ask(now).await? {
            match asked {
                Asked::Renewed(true) | Asked::Taken(None) => {}
                Asked::Renewed(false) => {
                    tracing::info!(partition, "another took the partition");
                    self.held.remove(&partition);
                    changed = true;
                }
                Asked::Taken(Some(checkpoint)) => taken.push((partition, checkpoint)),
            }
        }
        if changed | self.load(taken).await? {
            self.start_over();
        }
        self.next_round = now.plus(LEASE_ROUND);
        Ok(())
    }

    /// Asks the store for every lease that is held or wanted, all at once.
    async fn ask(&mut self, now: Timestamp) -> Result<Vec<(u32, Asked)>, BackendError> {
        let asks = (0..self.partitions).filter_map(|partition| {
            let epoch = self.held.get(&partition).map(|held| held.epoch);
            if epoch.is_none() && !self.is_wanted(partition) {
                return None;
            }
            let (store, id) = (self.dependencies.backends.store.clone(), self.id(partition));
            let (owner, partitions) = (self.dependencies.owner.clone(), self.partitions);
            Some(async move {
                let asked = match epoch {
                    Some(epoch) => Asked::Renewed(store.renew(&id, epoch, LEASE, now).await?),
                    None => Asked::Taken(store.acquire(&id, partitions, &owner, LEASE, now).await?),
                };
                Ok((partition, asked))
            })
        });
        let asks: Vec<_> = asks.collect();
        try_join_all(asks).await
    }

    /// Takes over partitions whose leases were taken; their state is read unless it is in memory. False: there are none.
    async fn load(&mut self, taken: Vec<(u32, Checkpoint)>) -> Result<bool, BackendError> {
        let mut loads = Vec::new();
        let changed = !taken.is_empty();
        for (partition, checkpoint) in taken {
            match self.parked.remove(&partition) {
                Some(mut held) if held.is_current(&checkpoint) => {
                    held.epoch = checkpoint.owner_epoch;
                    self.held.insert(partition, held);
                }
                _ => {
                    let (store, id) = (self.dependencies.backends.store.clone(), self.id(partition));
                    loads.push(async move {
                        let saved = store.load_state(&id).await?;
                        Ok::<_, BackendError>((partition, Held::load(checkpoint, &saved)))
                    });
                }
            }
        }
        self.held.extend(try_join_all(loads).await?);
        Ok(changed)
    }

    /// Reads again from where the work stands: the partitions are others now.
    pub(super) fn start_over(&mut self) {
        self.held.values_mut().for_each(Held::unread);
        self.reader = None;
        self.offered = false;
        self.is_strict = false;
        self.silent_since = None;
    }

    /// Gives up the leases and keeps the state, in case that the same partitions are taken again before another has them.
    pub(crate) async fn park(&mut self) {
        self.next_round = Timestamp::EPOCH;
        let backends = self.dependencies.backends.clone();
        self.progress.tell_now(&backends, &backends.topics.raw).await;
        let partitions = self.held.keys().copied().collect();
        self.give_up(partitions).await;
    }

    /// Gives up the leases after a failure, as far as that goes; nothing is kept.
    pub(crate) async fn abandon(&mut self) {
        let releases = self.held.iter().map(|(partition, held)| (*partition, held.epoch));
        self.release_all(releases.collect()).await;
        self.forget();
    }

    async fn give_up(&mut self, partitions: Vec<u32>) {
        let mut releases = Vec::new();
        for partition in partitions {
            let Some(mut held) = self.held.remove(&partition) else {
                continue;
            };
            held.unread();
            releases.push((partition, held.epoch));
            self.parked.insert(partition, held);
        }
        if !releases.is_empty() {
            self.reader = None;
            self.release_all(releases).await;
        }
    }

    async fn release_all(&mut self, leases: Vec<(u32, u64)>) {
        let releases = leases.into_iter().map(|(partition, epoch)| {
            let (store, id) = (self.dependencies.backends.store.clone(), self.id(partition));
            async move {
                if let Err(error) = store.release(&id, epoch).await {
                    tracing::warn!(%error, partition, "lease not released; it runs out by itself");
                }
            }
        });
        let releases: Vec<_> = releases.collect();
        join_all(releases).await;
    }
}
