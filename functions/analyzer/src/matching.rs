//! The first stage: raw logs in, matches out.
//!
//! One matcher works all the partitions that it holds, in the order in which the log took the records, so that what belongs
//! together reaches judge in the same order whatever the number of partitions.

mod held;
mod leases;
mod queue;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use threatstream_backend::{CommitError, Durability, LogReader, PartitionId, Record};
use threatstream_detection::Match;
use threatstream_domain::Timestamp;
use threatstream_runtime::metrics::prometheus_client::metrics::counter::Counter;
use threatstream_runtime::{CancellationToken, metrics};
use tokio::time::Instant;

use crate::examined::{dead_letter, examine};
use crate::progress::Progress;
use crate::{Dependencies, LEASE_ROUND, StageError, batch, pause};
use held::{Held, Outcome};
use reading::{Batch, WAITING_BYTES};

/// Works until the token is cancelled. Failures of the backends are waited out.
///
/// # Errors
/// Only what no waiting heals: an unknown topic, another number of partitions than before.
pub async fn run(dependencies: Dependencies, stop: CancellationToken) -> anyhow::Result<()> {
    let partitions = dependencies
        .backends
        .log
        .partitions(&dependencies.backends.topics.raw)
        .await?;
    let mut matcher = Matcher::new(dependencies, partitions);
    let mut backoff = Duration::from_millis(100);
    while !stop.is_cancelled() {
        let worked = tokio::select! {
            worked = matcher.step(LEASE_ROUND) => worked,
            // A step that is cut short has published matches at most, and those again are duplicates to judge.
            () = stop.cancelled() => break,
        };
        match worked {
            Ok(_) => backoff = Duration::from_millis(100),
            Err(StageError::Backend(error)) if !error.is_retryable() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "match starts again from its checkpoints");
                matcher.forget();
                pause(backoff, &stop).await;
                backoff = (backoff * 2).min(Duration::from_secs(10));
            }
        }
    }
    matcher.release().await;
    Ok(())
}

/// The stage over the partitions it holds.
pub struct Matcher {
    dependencies: Dependencies,
    partitions: u32,
    /// The partitions to work; `None`: all of them.
    only: Option<BTreeSet<u32>>,
    held: BTreeMap<u32, Held>,
    /// Given up in order; taken again without reading their state when nobody had them meanwhile.
    parked: BTreeMap<u32, Held>,
    /// Reads on from where each held partition's records end; opened when the log is to be read.
    reader: Option<Box<dyn LogReader>>,
    /// Records were offered since the last step: they are worked before the log is read.
    offered: bool,
    /// Records that wait for their turn take at most about so many bytes.
    waiting_limit: usize,
    /// Records were dropped to save memory: until all partitions are level, none goes on while another has more.
    is_strict: bool,
    /// Since when the log gives nothing.
    silent_since: Option<Instant>,
    next_round: Timestamp,
    batches: u64,
    /// Where the records that were published to the topic of matches end, by its partitions.
    published: BTreeMap<u32, u64>,
    progress: Progress,
    processed: Counter,
}

impl Matcher {
    /// A matcher that holds nothing yet. `partitions` is the raw topic's number.
    #[must_use]
    pub fn new(dependencies: Dependencies, partitions: u32) -> Self {
        Self {
            dependencies,
            partitions,
            only: None,
            held: BTreeMap::new(),
            parked: BTreeMap::new(),
            reader: None,
            offered: false,
            waiting_limit: WAITING_BYTES,
            is_strict: false,
            silent_since: None,
            next_round: Timestamp::EPOCH,
            batches: 0,
            published: BTreeMap::new(),
            progress: Progress::default(),
            processed: metrics::counter("threatstream_events_processed", "Events matched against the rules"),
        }
    }

    /// Takes free leases when it is time to look, waits up to `wait` for records unless some were offered, and works one
    /// batch: how many records.
    ///
    /// # Errors
    /// What a backend fails with. [`Matcher::forget`] everything then.
    pub async fn step(&mut self, wait: Duration) -> Result<usize, StageError> {
        self.hold().await?;
        if self.held.is_empty() {
            tokio::time::sleep(wait.min(Duration::from_secs(1))).await;
            return Ok(0);
        }
        if !std::mem::take(&mut self.offered) {
            self.read(wait).await?;
        }
        let batch = self.take_in_order();
        let count = batch.0.len();
        if count > 0 || self.held.values().any(|held| held.rest().is_some()) {
            self.work(batch).await?;
        }
        Ok(count)
    }

    /// Throws away what is in memory; everything is read again from the checkpoints.
    pub fn forget(&mut self) {
        self.held.clear();
        self.reader = None;
        self.offered = false;
        self.is_strict = false;
        self.silent_since = None;
        self.next_round = Timestamp::EPOCH;
    }

    /// Gives up the leases, so that another need not wait for them.
    pub async fn release(mut self) {
        self.park().await;
    }

    /// Whether records are in memory that are not worked yet.
    pub(crate) fn has_pending(&self) -> bool {
        self.held.values().any(|held| !held.queue.is_empty())
    }

    /// The first record of a partition that is not worked yet; `None` while another holds it.
    pub(crate) fn next_offset(&self, partition: u32) -> Option<u64> {
        self.held.get(&partition).map(|held| held.next_offset)
    }

    /// Where the matches published since the last call end, by partition.
    pub(crate) fn take_published(&mut self) -> BTreeMap<u32, u64> {
        std::mem::take(&mut self.published)
    }

    fn id(&self, partition: u32) -> PartitionId {
        PartitionId {
            topic: self.dependencies.backends.topics.raw.clone(),
            partition,
        }
    }

    async fn work(&mut self, (records, lost): Batch) -> Result<(), StageError> {
        let backends = self.dependencies.backends.clone();
        let records = Arc::new(records);
        let examined = examine(&self.dependencies.detector.current(), &backends.topics.raw, &records).await?;

        let mut outcomes: BTreeMap<u32, Outcome> = BTreeMap::new();
        let (mut matches, mut dead) = (Vec::new(), Vec::new());
        for ((partition, record), examined) in records.iter().zip(examined) {
            let Some(held) = self.held.get_mut(partition) else {
                continue;
            };
            let outcome = outcomes.entry(*partition).or_insert_with(|| Outcome {
                next_offset: held.next_offset,
                lost: lost.get(partition).copied().unwrap_or_default(),
                ..Outcome::default()
            });
            outcome.next_offset = outcome.next_offset.max(record.offset + 1);
            match examined {
                Err(reason) => {
                    outcome.tally.dead_lettered += 1;
                    dead.push(dead_letter(
                        &backends.topics.raw,
                        *partition,
                        record,
                        &reason.to_string(),
                    ));
                }
                Ok((print, found)) => {
                    if !held.recent.insert(print) {
                        outcome.tally.duplicate += 1;
                        continue;
                    }
                    outcome.delta.extend(print.to_le_bytes());
                    if found.is_empty() {
                        outcome.tally.clean += 1;
                    } else {
                        outcome.tally.matched += 1;
                        matches.extend(found.iter().map(to_record));
                    }
                }
            }
        }
        // Behind the last record, there may be offsets that hold none.
        for (partition, held) in &self.held {
            if let Some(next_offset) = held.rest() {
                let outcome = outcomes.entry(*partition).or_default();
                outcome.next_offset = outcome.next_offset.max(next_offset);
            }
        }
        // Publish, then commit: what is published twice is a duplicate to judge; what is committed unpublished would be lost.
        if !matches.is_empty() {
            let positions = backends
                .log
                .append(&backends.topics.matches, matches, Durability::Redoable)
                .await?;
            for position in positions {
                let end = self.published.entry(position.partition).or_default();
                *end = (*end).max(position.offset + 1);
            }
        }
        if !dead.is_empty() {
            tracing::warn!(
                count = dead.len(),
                "records that are no events went to the dead letters"
            );
            backends
                .log
                .append(&backends.topics.dead_letters, dead, Durability::Redoable)
                .await?;
        }
        self.commit(outcomes).await
    }

    async fn commit(&mut self, outcomes: BTreeMap<u32, Outcome>) -> Result<(), StageError> {
        let backends = self.dependencies.backends.clone();
        let now = self.dependencies.clock.now();
        self.batches += 1;
        let mut commits = Vec::new();
        for (partition, outcome) in outcomes {
            let id = self.id(partition);
            let Some(held) = self.held.get_mut(&partition) else {
                continue;
            };
            // The epoch is part of it: a worker that starts again counts its batches from the beginning.
            let batch_id = format!("{}-{}-m{}", self.dependencies.owner, held.epoch, self.batches);
            let commit = held.commit(id, batch_id, outcome, now);
            self.processed.inc_by(commit.tally.clean + commit.tally.matched);
            let backends = backends.clone();
            commits.push(async move {
                let (next_offset, batch_id, lost) = (commit.next_offset, commit.batch_id.clone(), commit.lost);
                (
                    partition,
                    next_offset,
                    batch_id,
                    lost,
                    batch::commit(&backends, commit).await,
                )
            });
        }
        let mut refused = false;
        for (partition, next_offset, batch_id, lost, result) in futures_util::future::join_all(commits).await {
            match result {
                Ok(()) => {
                    if lost > 0 {
                        // Monitoring counts this line.
                        tracing::error!(
                            partition,
                            lost,
                            next_offset,
                            "records were lost: the log let them go before they were analysed"
                        );
                    }
                    if let Some(held) = self.held.get_mut(&partition) {
                        held.committed(next_offset, batch_id);
                        self.progress.moved(partition, next_offset);
                    }
                }
                Err(CommitError::Backend(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::info!(partition, %error, "commit refused; what was worked of the partition is thrown away");
                    self.held.remove(&partition);
                    refused = true;
                }
            }
        }
        if refused {
            self.start_over();
        }
        self.progress.tell(&backends, &backends.topics.raw).await;
        Ok(())
    }
}

/// A match as the log holds it.
pub(crate) fn to_record(found: &Match) -> Record {
    Record {
        key: found.key(),
        value: serde_json::to_vec(found).unwrap_or_default().into(),
        headers: Vec::new(),
    }
}
