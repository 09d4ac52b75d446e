//! The first stage: raw logs in, matches out.
//!
//! One matcher works all the partitions that it holds, in the order in which the log took the records, so that what belongs
//! together reaches judge in the same order whatever the number of partitions.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use threatstream_backend::{
    Commit, CommitError, Durability, LogReader, LoggedRecord, PartitionId, Record, StateChange,
};
use threatstream_detection::{Match, Recent};
use threatstream_domain::{MinuteStats, Tally, Timestamp};
use threatstream_runtime::metrics::prometheus_client::metrics::counter::Counter;
use threatstream_runtime::{CancellationToken, metrics};

use crate::examined::{dead_letter, examine};
use crate::{Dependencies, LEASE, LEASE_ROUND, StageError, batch, pause};

/// About how much is read at once.
const BATCH_BYTES: usize = 4 << 20;
/// Deltas are compacted into chunks after so many, or so many bytes.
const COMPACT_AFTER: (usize, usize) = (256, 1 << 20);

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
    held: BTreeMap<u32, Held>,
    reader: Option<Box<dyn LogReader>>,
    next_round: Timestamp,
    batches: u64,
    processed: Counter,
}

struct Held {
    epoch: u64,
    next_offset: u64,
    recent: Recent,
    /// Deltas since the last chunks were written, and their bytes.
    deltas: (usize, usize),
    /// Read, and not yet worked.
    pending: VecDeque<LoggedRecord>,
    /// The log holds more of this partition than was read.
    behind: bool,
}

/// What a batch does to one partition.
#[derive(Default)]
struct Outcome {
    tally: Tally,
    lost: u64,
    next_offset: u64,
    delta: Vec<u8>,
}

impl Matcher {
    /// A matcher that holds nothing yet. `partitions` is the raw topic's number.
    #[must_use]
    pub fn new(dependencies: Dependencies, partitions: u32) -> Self {
        Self {
            dependencies,
            partitions,
            held: BTreeMap::new(),
            reader: None,
            next_round: Timestamp::EPOCH,
            batches: 0,
            processed: metrics::counter("threatstream_events_processed", "Events matched against the rules"),
        }
    }

    /// Takes free leases when it is time to look, waits up to `wait` for records, and works one batch: how many records.
    ///
    /// # Errors
    /// What a backend fails with. [`Matcher::forget`] everything then.
    pub async fn step(&mut self, wait: Duration) -> Result<usize, StageError> {
        self.round().await?;
        let Some(reader) = &mut self.reader else {
            tokio::time::sleep(wait.min(Duration::from_secs(1))).await;
            return Ok(0);
        };
        for read in reader.next(BATCH_BYTES, wait).await? {
            if let Some(held) = self.held.get_mut(&read.partition) {
                held.behind = read
                    .records
                    .last()
                    .is_some_and(|last| last.offset + 1 < read.watermarks.high);
                held.pending.extend(read.records);
            }
        }
        let records = self.take_in_order();
        if records.is_empty() {
            return Ok(0);
        }
        let count = records.len();
        self.work(records).await?;
        Ok(count)
    }

    /// Throws away what is in memory; everything is read again from the checkpoints.
    pub fn forget(&mut self) {
        self.held.clear();
        self.reader = None;
        self.next_round = Timestamp::EPOCH;
    }

    /// Gives up the leases, so that another need not wait for them.
    pub async fn release(self) {
        for (partition, held) in &self.held {
            if let Err(error) = self
                .dependencies
                .backends
                .store
                .release(&self.id(*partition), held.epoch)
                .await
            {
                tracing::warn!(%error, partition, "lease not released; it runs out by itself");
            }
        }
    }

    fn id(&self, partition: u32) -> PartitionId {
        PartitionId {
            topic: self.dependencies.backends.topics.raw.clone(),
            partition,
        }
    }

    /// Renews what is held and takes what is free, every [`LEASE_ROUND`].
    async fn round(&mut self) -> Result<(), StageError> {
        let now = self.dependencies.clock.now();
        // A clock that was set back must not keep leases from being renewed.
        if now < self.next_round && self.next_round.since(now) <= LEASE_ROUND {
            return Ok(());
        }
        let store = self.dependencies.backends.store.clone();
        let mut changed = false;
        for partition in 0..self.partitions {
            let id = self.id(partition);
            if let Some(held) = self.held.get(&partition) {
                if !store.renew(&id, held.epoch, LEASE, now).await? {
                    tracing::info!(partition, "another took the partition");
                    self.held.remove(&partition);
                    changed = true;
                }
                continue;
            }
            let Some(checkpoint) = store
                .acquire(&id, self.partitions, &self.dependencies.owner, LEASE, now)
                .await?
            else {
                continue;
            };
            let saved = store.load_state(&id).await?;
            let mut recent = Recent::load(saved.slots.iter().map(|(_, bytes)| bytes.as_ref()));
            for delta in &saved.deltas {
                for print in delta.as_chunks::<16>().0 {
                    recent.insert(u128::from_le_bytes(*print));
                }
            }
            let held = Held {
                epoch: checkpoint.owner_epoch,
                next_offset: checkpoint.next_offset,
                recent,
                deltas: (saved.deltas.len(), saved.deltas.iter().map(Bytes::len).sum()),
                pending: VecDeque::new(),
                behind: false,
            };
            self.held.insert(partition, held);
            changed = true;
        }
        if changed {
            self.reopen().await?;
        }
        self.next_round = now.plus(LEASE_ROUND);
        Ok(())
    }

    async fn reopen(&mut self) -> Result<(), StageError> {
        let from: Vec<(u32, u64)> = self
            .held
            .iter()
            .map(|(partition, held)| (*partition, held.next_offset))
            .collect();
        for held in self.held.values_mut() {
            held.pending.clear();
            held.behind = false;
        }
        let backends = &self.dependencies.backends;
        self.reader = if from.is_empty() {
            None
        } else {
            Some(backends.log.open(&backends.topics.raw, &from).await?)
        };
        Ok(())
    }

    /// Records whose turn it is, in the order in which the log took them: none from beyond where a partition that holds more
    /// has been read to.
    fn take_in_order(&mut self) -> Vec<(u32, LoggedRecord)> {
        let cut = self
            .held
            .values()
            .filter(|held| held.behind)
            .filter_map(|held| held.pending.back())
            .map(|record| record.timestamp)
            .min();
        let mut records = Vec::new();
        for (partition, held) in &mut self.held {
            while let Some(record) = held
                .pending
                .pop_front_if(|record| cut.is_none_or(|cut| record.timestamp <= cut))
            {
                records.push((*partition, record));
            }
        }
        records.sort_by_key(|(partition, record)| (record.timestamp, *partition, record.offset));
        records
    }

    async fn work(&mut self, records: Vec<(u32, LoggedRecord)>) -> Result<(), StageError> {
        let backends = self.dependencies.backends.clone();
        let records = Arc::new(records);
        let examined = examine(&self.dependencies.detector, &backends.topics.raw, &records).await?;

        let mut outcomes: BTreeMap<u32, Outcome> = BTreeMap::new();
        let (mut matches, mut dead) = (Vec::new(), Vec::new());
        for ((partition, record), examined) in records.iter().zip(examined) {
            let Some(held) = self.held.get_mut(partition) else {
                continue;
            };
            let outcome = outcomes.entry(*partition).or_insert_with(|| Outcome {
                next_offset: held.next_offset,
                ..Outcome::default()
            });
            outcome.lost += record.offset.saturating_sub(outcome.next_offset);
            outcome.next_offset = record.offset + 1;
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
        // Publish, then commit: what is published twice is a duplicate to judge; what is committed unpublished would be lost.
        if !matches.is_empty() {
            backends
                .log
                .append(&backends.topics.matches, matches, Durability::Redoable)
                .await?;
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
            commits.push(async move { (commit.next_offset, partition, batch::commit(&backends, commit).await) });
        }
        let mut lost = false;
        for (next_offset, partition, result) in futures_util::future::join_all(commits).await {
            match result {
                Ok(()) => {
                    if let Some(held) = self.held.get_mut(&partition) {
                        held.next_offset = next_offset;
                    }
                }
                Err(CommitError::Backend(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::info!(partition, %error, "commit refused; what was worked of the partition is thrown away");
                    self.held.remove(&partition);
                    lost = true;
                }
            }
        }
        if lost { self.reopen().await } else { Ok(()) }
    }
}

impl Held {
    fn commit(&mut self, id: PartitionId, batch_id: String, outcome: Outcome, now: Timestamp) -> Commit {
        self.deltas = (self.deltas.0 + 1, self.deltas.1 + outcome.delta.len());
        let compact = self.deltas.0 >= COMPACT_AFTER.0 || self.deltas.1 >= COMPACT_AFTER.1;
        let snapshot = compact.then(|| {
            self.deltas = (0, 0);
            self.recent
                .save(0)
                .into_iter()
                .map(|(slot, bytes)| (slot, bytes.into()))
                .collect()
        });
        let processed = outcome.tally.clean + outcome.tally.matched;
        Commit {
            id,
            owner_epoch: self.epoch,
            expected_offset: self.next_offset,
            next_offset: outcome.next_offset,
            batch_id,
            unpublished: Vec::new(),
            tally: outcome.tally,
            lost: outcome.lost,
            minutes: vec![MinuteStats {
                minute: now.minute(),
                processed,
                ..MinuteStats::default()
            }],
            threats: Vec::new(),
            alerts: Vec::new(),
            state: StateChange {
                delta: outcome.delta.into(),
                snapshot,
            },
            frames: Vec::new(),
            now,
        }
    }
}

fn to_record(found: &Match) -> Record {
    Record {
        key: found.key(),
        value: serde_json::to_vec(found).unwrap_or_default().into(),
        headers: Vec::new(),
    }
}
