//! The second stage: matches in, threats and alerts out.
//!
//! A partition of matches is worked by itself: its key sends everything that one window, one suppression counter or one alert
//! needs to the same partition.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use threatstream_backend::{
    AlertWrite, BackendError, Backends, Commit, CommitError, Durability, LogReader, LoggedRecord, NewThreat,
    PartitionId, SavedState, StateChange,
};
use threatstream_detection::Match;
use threatstream_detection::judge::{JudgeState, Judged};
use threatstream_domain::{Threat, Timestamp};
use threatstream_runtime::metrics::prometheus_client::metrics::counter::Counter;
use threatstream_runtime::{CancellationToken, metrics};
use tokio::task::JoinSet;

use crate::{Dependencies, LEASE, LEASE_ROUND, StageError, batch, examined::dead_letter, pause, publish};

/// About how much is read at once.
const BATCH_BYTES: usize = 2 << 20;
/// A commit holds at most so many threats.
const BATCH_THREATS: usize = 500;
/// The state is compacted when the deltas since have grown past this, or past the snapshot itself.
const COMPACT_AFTER: usize = 1 << 20;
/// How many alerts' parts of the analysts are asked for again before the batch is given up.
const RACES: u32 = 5;

/// Works every partition until the token is cancelled. Failures of the backends are waited out.
///
/// # Errors
/// Only what no waiting heals: an unknown topic, another number of partitions than before, unreadable state.
pub async fn run(dependencies: Dependencies, stop: CancellationToken) -> anyhow::Result<()> {
    let partitions = dependencies
        .backends
        .log
        .partitions(&dependencies.backends.topics.matches)
        .await?;
    let mut judges = JoinSet::new();
    for partition in 0..partitions {
        judges.spawn(run_partition(
            Judge::new(dependencies.clone(), partition, partitions),
            stop.clone(),
        ));
    }
    while let Some(ended) = judges.join_next().await {
        // Dropping the set stops the others; the supervisor starts all of them again.
        ended?;
    }
    Ok(())
}

/// A partition that cannot go on does not keep the others from going on: it is tried again, ever less often.
async fn run_partition(mut judge: Judge, stop: CancellationToken) {
    let mut backoff = Duration::from_millis(100);
    while !stop.is_cancelled() {
        let worked = tokio::select! {
            worked = judge.step(LEASE_ROUND) => worked,
            // A step that is cut short has committed or has not; the checkpoint knows, and names what is unpublished.
            () = stop.cancelled() => break,
        };
        match worked {
            Ok(_) => backoff = Duration::from_millis(100),
            Err(error) => {
                tracing::error!(%error, partition = judge.partition, "judge starts again from its checkpoint");
                judge.forget();
                pause(backoff, &stop).await;
                backoff = (backoff * 2).min(Duration::from_secs(30));
            }
        }
    }
    judge.release().await;
}

/// The stage over one partition.
pub struct Judge {
    dependencies: Dependencies,
    partition: u32,
    partitions: u32,
    held: Option<Held>,
    next_round: Timestamp,
    batches: u64,
    /// Alerts that the last commit found changed, though the state may know nothing of them.
    contested: Vec<String>,
    threats: Counter,
}

struct Held {
    epoch: u64,
    next_offset: u64,
    state: JudgeState,
    /// Bytes of deltas since the last snapshot, and of that snapshot.
    deltas: usize,
    snapshot: usize,
    reader: Box<dyn LogReader>,
    /// What the last commit named as unpublished is published by now.
    published: bool,
}

impl Judge {
    /// A judge that does not hold its partition yet. `partitions` is the topic's number.
    #[must_use]
    pub fn new(dependencies: Dependencies, partition: u32, partitions: u32) -> Self {
        Self {
            dependencies,
            partition,
            partitions,
            held: None,
            next_round: Timestamp::EPOCH,
            batches: 0,
            contested: Vec::new(),
            threats: metrics::counter("threatstream_threats_stored", "Threats stored"),
        }
    }

    /// Takes or renews the lease when it is time to, waits up to `wait` for matches, and works what is there: how many.
    ///
    /// # Errors
    /// What a backend fails with. [`Judge::forget`] everything then.
    pub async fn step(&mut self, wait: Duration) -> Result<usize, StageError> {
        self.round().await?;
        let Some(held) = &mut self.held else {
            tokio::time::sleep(wait.min(Duration::from_secs(1))).await;
            return Ok(0);
        };
        let mut count = 0;
        for read in held.reader.next(BATCH_BYTES, wait).await? {
            count += read.records.len();
            self.work(read.records).await?;
        }
        Ok(count)
    }

    /// Throws away what is in memory; everything is read again from the checkpoint.
    pub fn forget(&mut self) {
        self.held = None;
        self.next_round = Timestamp::EPOCH;
    }

    /// Gives up the lease, so that another need not wait for it, nor publish again what is published.
    pub async fn release(mut self) {
        let id = self.id();
        let Some(held) = &mut self.held else { return };
        let store = self.dependencies.backends.store.clone();
        if held.published {
            let now = self.dependencies.clock.now();
            let batch_id = format!("{}-{}-end", self.dependencies.owner, held.epoch);
            let (last, _) = held.commit(id.clone(), batch_id, held.next_offset, 0, Judged::default(), now);
            if let Err(error) = store
                .commit(Commit {
                    minutes: Vec::new(),
                    ..last
                })
                .await
            {
                tracing::debug!(%error, partition = self.partition, "the next holder publishes the last batch again");
            }
        }
        if let Err(error) = store.release(&id, held.epoch).await {
            tracing::warn!(%error, partition = self.partition, "lease not released; it runs out by itself");
        }
    }

    fn id(&self) -> PartitionId {
        PartitionId {
            topic: self.dependencies.backends.topics.matches.clone(),
            partition: self.partition,
        }
    }

    async fn round(&mut self) -> Result<(), StageError> {
        let now = self.dependencies.clock.now();
        // A clock that was set back must not keep leases from being renewed.
        if now < self.next_round && self.next_round.since(now) <= LEASE_ROUND {
            return Ok(());
        }
        let backends = self.dependencies.backends.clone();
        let id = self.id();
        if let Some(held) = &self.held {
            if !backends.store.renew(&id, held.epoch, LEASE, now).await? {
                tracing::info!(partition = self.partition, "another took the partition");
                self.held = None;
            }
        } else if let Some(checkpoint) = backends
            .store
            .acquire(&id, self.partitions, &self.dependencies.owner, LEASE, now)
            .await?
        {
            publish_rest(&backends, &checkpoint.unpublished, now).await?;
            self.load(checkpoint.owner_epoch, checkpoint.next_offset).await?;
        }
        self.next_round = now.plus(LEASE_ROUND);
        Ok(())
    }

    async fn load(&mut self, epoch: u64, next_offset: u64) -> Result<(), StageError> {
        let backends = &self.dependencies.backends;
        let saved = backends.store.load_state(&self.id()).await?;
        let mut held = Held {
            epoch,
            next_offset,
            state: JudgeState::default(),
            deltas: 0,
            snapshot: 0,
            reader: backends
                .log
                .open(&backends.topics.matches, &[(self.partition, next_offset)])
                .await?,
            published: true,
        };
        held.restore(&saved)?;
        self.held = Some(held);
        Ok(())
    }

    /// Publishes what the last holder committed and may not have published.
    async fn work(&mut self, records: Vec<LoggedRecord>) -> Result<(), StageError> {
        let topic = self.id().topic;
        let (mut matches, mut offsets, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        for record in &records {
            match serde_json::from_slice::<Match>(&record.value) {
                Ok(found) => {
                    matches.push(found);
                    offsets.push(record.offset);
                }
                Err(error) => {
                    let reason = format!("not a match: {error}");
                    unreadable.push(dead_letter(&topic, self.partition, record, &reason));
                }
            }
        }
        if !unreadable.is_empty() {
            tracing::warn!(
                count = unreadable.len(),
                "records that are no matches went to the dead letters"
            );
            let backends = &self.dependencies.backends;
            backends
                .log
                .append(&backends.topics.dead_letters, unreadable, Durability::Redoable)
                .await?;
        }
        let end = records.last().map_or(0, |last| last.offset + 1);
        let (mut done, mut races) = (0, 0);
        while self.held.as_ref().is_some_and(|held| held.next_offset < end) {
            let after = |taken: usize| offsets.get(done + taken).copied().unwrap_or(end);
            match self.judge(&matches[done..], after).await? {
                Some(taken) => (done, races) = (done + taken, 0),
                None if races < RACES => races += 1,
                None => return Err(StageError::Contested(self.contested.clone())),
            }
        }
        Ok(())
    }

    /// Judges and commits as much as fits one commit: how many. `None`: nothing was committed; the state is as it was saved.
    async fn judge(
        &mut self,
        matches: &[Match],
        offset_after: impl Fn(usize) -> u64 + Send,
    ) -> Result<Option<usize>, StageError> {
        let backends = self.dependencies.backends.clone();
        let id = self.id();
        let Some(held) = &mut self.held else { return Ok(None) };
        let mut alerts = held.state.alerts_of(matches);
        alerts.extend(self.contested.iter().cloned());
        let cases = if alerts.is_empty() {
            HashMap::new()
        } else {
            backends.store.cases(&alerts).await?
        };
        let now = self.dependencies.clock.now();
        let (taken, judged) = held.state.judge(matches, &cases, now, BATCH_THREATS);
        self.batches += 1;
        let batch_id = format!("{}-{}-j{}", self.dependencies.owner, held.epoch, self.batches);
        let next_offset = offset_after(taken);
        // What lies between and was not judged was gone from the log, or was no match.
        let lost = (next_offset - held.next_offset).saturating_sub(taken as u64);
        let (commit, threats) = held.commit(id, batch_id, next_offset, lost, judged, now);
        match batch::commit(&backends, commit).await {
            Ok(()) => {
                held.next_offset = next_offset;
                held.published = false;
                self.contested.clear();
                self.threats.inc_by(threats.len() as u64);
                publish::publish(&backends, &threats, now).await?;
                held.published = true;
                Ok(Some(taken))
            }
            Err(CommitError::AlertsChanged(alerts)) => {
                tracing::debug!(?alerts, "analysts changed alerts meanwhile; judging again");
                let saved = backends.store.load_state(&self.id()).await?;
                if let Some(held) = &mut self.held {
                    held.restore(&saved)?;
                }
                self.contested = alerts;
                Ok(None)
            }
            Err(CommitError::Refused) => {
                tracing::info!(
                    partition = self.partition,
                    "commit refused; what was judged is thrown away"
                );
                self.forget();
                Ok(None)
            }
            Err(CommitError::Backend(error)) => Err(error.into()),
        }
    }
}

/// Publishes what the last holder committed and may not have published.
async fn publish_rest(backends: &Backends, ids: &[String], now: Timestamp) -> Result<(), BackendError> {
    let mut threats = Vec::with_capacity(ids.len());
    for id in ids {
        threats.extend(backends.store.threat(id).await?);
    }
    publish::publish(backends, &threats, now).await
}

impl Held {
    /// Takes the state from what was saved.
    fn restore(&mut self, saved: &SavedState) -> Result<(), StageError> {
        self.state = JudgeState::load(&saved.slots, &saved.deltas)?;
        self.deltas = saved.deltas.iter().map(Bytes::len).sum();
        self.snapshot = saved.slots.iter().map(|(_, bytes)| bytes.len()).sum();
        Ok(())
    }

    fn commit(
        &mut self,
        id: PartitionId,
        batch_id: String,
        next_offset: u64,
        lost: u64,
        judged: Judged,
        now: Timestamp,
    ) -> (Commit, Vec<Threat>) {
        let delta = self.state.take_delta();
        self.deltas += delta.len();
        let snapshot = (self.deltas > COMPACT_AFTER.max(self.snapshot)).then(|| {
            let slots = self.state.snapshot();
            self.deltas = 0;
            self.snapshot = slots.iter().map(|(_, bytes)| bytes.len()).sum();
            slots.into_iter().map(|(slot, bytes)| (slot, bytes.into())).collect()
        });
        let threats: Vec<Threat> = judged.threats.iter().map(|(threat, _)| threat.clone()).collect();
        let commit = Commit {
            id,
            owner_epoch: self.epoch,
            expected_offset: self.next_offset,
            next_offset,
            batch_id,
            unpublished: threats.iter().map(|threat| threat.id.clone()).collect(),
            tally: judged.tally,
            lost,
            minutes: vec![judged.minute],
            threats: judged
                .threats
                .into_iter()
                .map(|(threat, originals)| NewThreat { threat, originals })
                .collect(),
            alerts: judged
                .alerts
                .into_iter()
                .map(|(group, case_version)| AlertWrite { group, case_version })
                .collect(),
            state: StateChange {
                delta: delta.into(),
                snapshot,
            },
            frames: judged.frames,
            now,
        };
        (commit, threats)
    }
}
