//! The second stage: matches in, threats and alerts out.
//!
//! A partition of matches is worked by itself: its key sends everything that one window, one suppression counter or one alert
//! needs to the same partition.

mod held;
mod lease;
mod room;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use threatstream_backend::{CommitError, Durability, LoggedRecord, PartitionId};
use threatstream_detection::Match;
use threatstream_domain::Timestamp;
use threatstream_runtime::metrics::prometheus_client::metrics::counter::Counter;
use threatstream_runtime::{CancellationToken, metrics};
use tokio::task::JoinSet;

use crate::matching::to_record;
use crate::progress::Progress;
use crate::{Dependencies, LEASE_ROUND, StageError, batch, examined::dead_letter, pause, publish};
use held::Held;
use room::Room;

/// About how much is read at once. What is there is judged at once: a batch never waits for more to come, and this much is
/// judged in far less than a second.
const BATCH_BYTES: usize = 1 << 20;
/// A commit holds at most so many threats. How many bytes it writes is bounded where the batch is judged.
const BATCH_THREATS: usize = 500;
/// So many published matches of correlations are remembered at least; it only saves duplicates.
const ANNOUNCED: usize = 10_000;
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
    /// Given up in order; taken again without reading its state when nobody had the partition meanwhile.
    parked: Option<Held>,
    next_round: Timestamp,
    batches: u64,
    /// Threats stored since they were last asked for.
    stored: u64,
    /// Where the matches of correlations that others count end, by the partitions they went to, since that was last asked for.
    published: BTreeMap<u32, u64>,
    /// Of what correlations count of others, what was published lately: it is not published again when it is judged again.
    announced: HashSet<u128>,
    progress: Progress,
    /// Alerts that the last commit found changed, though the state may know nothing of them.
    contested: Vec<String>,
    room: Room,
    threats: Counter,
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
            parked: None,
            next_round: Timestamp::EPOCH,
            batches: 0,
            stored: 0,
            published: BTreeMap::new(),
            announced: HashSet::new(),
            progress: Progress::default(),
            contested: Vec::new(),
            room: Room::default(),
            threats: metrics::counter("threatstream_threats_stored", "Threats stored"),
        }
    }

    /// Takes or renews the lease when it is time to, waits up to `wait` for matches, and works what is there: how many.
    ///
    /// # Errors
    /// What a backend fails with. [`Judge::forget`] everything then.
    pub async fn step(&mut self, wait: Duration) -> Result<usize, StageError> {
        self.hold().await?;
        let topic = self.id().topic;
        let Some(held) = &mut self.held else {
            tokio::time::sleep(wait.min(Duration::from_secs(1))).await;
            return Ok(0);
        };
        let log = &self.dependencies.backends.log;
        let reader = match &mut held.reader {
            Some(reader) => reader,
            None => {
                let from = [(self.partition, held.next_offset)];
                held.reader.insert(log.open(&topic, &from).await?)
            }
        };
        let mut count = 0;
        for read in reader.next(BATCH_BYTES, wait).await? {
            count += read.records.len();
            self.work(read.records).await?;
        }
        Ok(count)
    }

    /// Throws away what is in memory; everything is read again from the checkpoint.
    pub fn forget(&mut self) {
        self.held = None;
        self.announced.clear();
        self.next_round = Timestamp::EPOCH;
    }

    /// Gives up the lease, so that another need not wait for it, nor publish again what is published.
    pub async fn release(mut self) {
        self.park().await;
    }

    /// The first match that is not judged yet; `None` while another holds the partition.
    pub(crate) fn next_offset(&self) -> Option<u64> {
        self.held.as_ref().map(|held| held.next_offset)
    }

    /// How many threats were stored since the last call.
    pub(crate) fn take_stored(&mut self) -> u64 {
        std::mem::take(&mut self.stored)
    }

    /// Where the matches published since the last call end, by partition.
    pub(crate) fn take_published(&mut self) -> BTreeMap<u32, u64> {
        std::mem::take(&mut self.published)
    }

    fn id(&self) -> PartitionId {
        PartitionId {
            topic: self.dependencies.backends.topics.matches.clone(),
            partition: self.partition,
        }
    }

    /// Judges records and commits what they come to.
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

    /// Judges and commits as much as fits one commit: how many. `None`: others were faster. When nothing was committed, the state
    /// is as it was saved.
    async fn judge(
        &mut self,
        matches: &[Match],
        offset_after: impl Fn(usize) -> u64 + Send,
    ) -> Result<Option<usize>, StageError> {
        let backends = self.dependencies.backends.clone();
        let id = self.id();
        let Some(held) = &mut self.held else { return Ok(None) };
        let matches = self.room.first(matches);
        let mut alerts = held.state.alerts_of(matches);
        alerts.extend(self.contested.iter().cloned());
        let cases = if alerts.is_empty() {
            HashMap::new()
        } else {
            backends.store.cases(&alerts).await?
        };
        let now = self.dependencies.clock.now();
        let (taken, mut judged) = held.state.judge(matches, &cases, now, BATCH_THREATS);
        self.batches += 1;
        let batch_id = format!("{}-{}-j{}", self.dependencies.owner, held.epoch, self.batches);
        let next_offset = offset_after(taken);
        // What lies between and was not judged was gone from the log, or was no match.
        let lost = (next_offset - held.next_offset).saturating_sub(taken as u64);
        let chained = std::mem::take(&mut judged.chained);
        let (commit, threats) = held.commit(id, batch_id.clone(), next_offset, lost, judged, now);
        let until = commit.lease_until;
        self.publish_chained(&chained).await?;
        let Some(held) = &mut self.held else { return Ok(None) };
        match batch::commit(&backends, commit).await {
            Ok(()) => {
                held.committed(next_offset, batch_id, threats.len(), until);
                self.contested.clear();
                self.room.double();
                self.threats.inc_by(threats.len() as u64);
                self.stored += threats.len() as u64;
                publish::publish(&backends, &threats, now).await?;
                held.is_published = true;
                self.progress.moved(self.partition, next_offset);
                self.compact().await;
                self.progress.tell(&backends, &backends.topics.matches).await;
                Ok(Some(taken))
            }
            Err(CommitError::AlertsChanged(alerts)) => {
                tracing::debug!(?alerts, "analysts changed alerts meanwhile; judging again");
                self.restore().await?;
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
            // A commit is weighed before it is sent, but what a store adds is its own affair: it may refuse one as too large.
            Err(CommitError::Backend(error)) if !error.is_retryable() && self.room.halve(taken) => {
                tracing::warn!(%error, taken, partition = self.partition, "commit rejected; judging half as much");
                self.restore().await?;
                Ok(Some(0))
            }
            Err(CommitError::Backend(error)) => Err(error.into()),
        }
    }

    /// Publishes what correlations count of others. As match does, before the commit: whoever judges these records, again or
    /// instead, finds the same windows fired, and what it publishes again are duplicates.
    async fn publish_chained(&mut self, chained: &[Match]) -> Result<(), StageError> {
        let is_new = |found: &&Match| !self.announced.contains(&found.duplicate_key());
        let new: Vec<&Match> = chained.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let backends = &self.dependencies.backends;
        let records = new.iter().map(|found| to_record(found)).collect();
        let positions = backends
            .log
            .append(&backends.topics.matches, records, Durability::Redoable)
            .await?;
        if self.announced.len() > ANNOUNCED {
            self.announced.clear();
        }
        self.announced.extend(new.into_iter().map(Match::duplicate_key));
        for position in positions {
            let end = self.published.entry(position.partition).or_default();
            *end = (*end).max(position.offset + 1);
        }
        Ok(())
    }

    /// Goes back to the state that was saved.
    async fn restore(&mut self) -> Result<(), StageError> {
        let saved = self.dependencies.backends.store.load_state(&self.id()).await?;
        match &mut self.held {
            Some(held) => held.restore(&saved),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
