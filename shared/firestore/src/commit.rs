//! The commit of a batch: everything in one request, on the condition that the partition is where it was.

use std::collections::{BTreeMap, HashSet};

use firestore::gcloud_sdk::google::firestore::v1::Write;
use firestore::gcloud_sdk::prost::Message;
use threatstream_backend::{AlertWrite, BackendError, Commit, CommitError, NewThreat};
use threatstream_domain::MinuteStats;

use crate::alerts::{self, Known};
use crate::analytics::UPDATED_AT;
use crate::codec::{Fields, UpdateTime, and_increment, and_server_time, double, int, merge, signed, time};
use crate::error::{Fault, rejected};
use crate::feed;
use crate::leases::{Stored, lease_id};
use crate::retry::Attempts;
use crate::store::FirestoreStore;
use crate::threats::{self, THREATS};

/// A commit in which everything occurs once.
struct Batch {
    commit: Commit,
    threats: Vec<NewThreat>,
    alerts: Vec<AlertWrite>,
    minutes: Vec<MinuteStats>,
}

impl Batch {
    fn of(mut commit: Commit) -> Self {
        let mut seen = HashSet::new();
        let mut threats = std::mem::take(&mut commit.threats);
        threats.retain(|new| seen.insert(new.threat.id.clone()));
        let mut alerts: Vec<AlertWrite> = Vec::new();
        for write in std::mem::take(&mut commit.alerts) {
            // The last one says it all.
            match alerts.iter_mut().find(|earlier| earlier.group.id == write.group.id) {
                Some(earlier) => *earlier = write,
                None => alerts.push(write),
            }
        }
        let mut minutes: BTreeMap<i64, MinuteStats> = BTreeMap::new();
        for stats in std::mem::take(&mut commit.minutes) {
            match minutes.get_mut(&stats.minute) {
                Some(sum) => sum.add(&stats),
                None => drop(minutes.insert(stats.minute, stats)),
            }
        }
        Self {
            commit,
            threats,
            alerts,
            minutes: minutes.into_values().collect(),
        }
    }

    /// What a lease says of this batch.
    fn judged_by(&self, stored: &Stored) -> Standing {
        let lease = &stored.lease;
        if lease.batch_id.as_ref() == Some(&self.commit.batch_id) {
            Standing::Applied
        } else if lease.owner_epoch == self.commit.owner_epoch && lease.next_offset == self.commit.expected_offset {
            Standing::Next
        } else {
            Standing::Elsewhere
        }
    }

    fn alert_ids(&self) -> Vec<String> {
        self.alerts.iter().map(|alert| alert.group.id.clone()).collect()
    }
}

enum Standing {
    /// It was made before.
    Applied,
    /// It is what comes next.
    Next,
    /// The partition is another's, or somewhere else.
    Elsewhere,
}

impl FirestoreStore {
    /// Makes a commit; see [`Leases::commit`](threatstream_backend::Leases::commit).
    ///
    /// While nothing is in its way this reads nothing. When a condition fails, what could have been the reason is read in turn:
    /// the lease, the alerts, the threats.
    pub(crate) async fn make_commit(&self, commit: Commit) -> Result<(), CommitError> {
        if commit.next_offset < commit.expected_offset {
            return Err(rejected("a commit cannot move a checkpoint back").into());
        }
        let mut batch = Batch::of(commit);
        let remembered = self.held.of(&batch.commit.id);
        let mut remembered = remembered.lock().await;
        // Taken: after an error nobody knows what is stored.
        let known = remembered.take();
        let mut known = known.filter(|stored| matches!(batch.judged_by(stored), Standing::Next));
        let mut attempts = Attempts::new("a commit");
        loop {
            let stored = match known.take() {
                Some(stored) => stored,
                None => {
                    let Some(stored) = self.read_lease(&batch.commit.id).await? else {
                        return Err(CommitError::Refused);
                    };
                    match batch.judged_by(&stored) {
                        Standing::Next => stored,
                        Standing::Applied => {
                            *remembered = Some(stored);
                            return Ok(());
                        }
                        Standing::Elsewhere => {
                            *remembered = Some(stored);
                            return Err(CommitError::Refused);
                        }
                    }
                }
            };
            let on = match self.known_of(&batch).await {
                Ok(on) => on,
                Err(error) => {
                    *remembered = Some(stored);
                    return Err(error);
                }
            };
            match self.attempt(&batch, &stored, &on).await {
                Ok(stored) => {
                    *remembered = Some(stored);
                    self.tick();
                    return Ok(());
                }
                Err(Fault::Conflict(reason)) => {
                    tracing::debug!(partition = %lease_id(&batch.commit.id), %reason, "a commit was not made; looking into it");
                    let moved = self.read_lease(&batch.commit.id).await?;
                    known = moved.filter(|stored| matches!(batch.judged_by(stored), Standing::Next));
                    // By its time the lease may have moved, for what was written ahead touched it. Where it still stands as
                    // the batch wants it, the reason may be elsewhere.
                    if known.is_some() {
                        self.look(&batch.alert_ids()).await?;
                        if self.known_of(&batch).await? == on {
                            self.drop_stored(&mut batch).await?;
                        }
                    }
                    attempts.again(Fault::Conflict(reason)).await?;
                }
                Err(Fault::Backend(error)) => return Err(error.into()),
            }
        }
    }

    /// What is known of the batch's alerts. One that is at another version than it was judged on is read again, to be sure.
    async fn known_of(&self, batch: &Batch) -> Result<Vec<Known>, CommitError> {
        let known = |alert: &AlertWrite| self.known_alerts.get(&alert.group.id);
        let doubtful: Vec<String> = batch
            .alerts
            .iter()
            .filter(|alert| known(alert).map_or(0, |known| known.case_version) != alert.case_version)
            .map(|alert| alert.group.id.clone())
            .collect();
        if !doubtful.is_empty() {
            self.look(&doubtful).await?;
        }
        let mut changed = Vec::new();
        let mut all = Vec::with_capacity(batch.alerts.len());
        for alert in &batch.alerts {
            // Of what was never read nothing is known: it is written as new, and its being there is a conflict.
            let known = known(alert).unwrap_or_default();
            if known.case_version != alert.case_version {
                changed.push(alert.group.id.clone());
            }
            all.push(known);
        }
        if changed.is_empty() {
            Ok(all)
        } else {
            Err(CommitError::AlertsChanged(changed))
        }
    }

    /// Leaves out the threats that are stored already.
    async fn drop_stored(&self, batch: &mut Batch) -> Result<(), BackendError> {
        let name = |new: &NewThreat| self.client.name(THREATS, &new.threat.id);
        let found = self.client.get_all(batch.threats.iter().map(name).collect()).await?;
        batch.threats.retain(|new| !found.contains_key(&name(new)));
        Ok(())
    }

    /// Sends everything on the condition that lease and alerts are as they are known to be.
    async fn attempt(&self, batch: &Batch, stored: &Stored, known: &[Known]) -> Result<Stored, Fault> {
        let commit = &batch.commit;
        let mut lease = stored.lease.clone();
        lease.next_offset = commit.next_offset;
        lease.batch_id = Some(commit.batch_id.clone());
        lease.unpublished.clone_from(&commit.unpublished);
        lease.tally.add(&commit.tally);
        lease.lost = lease.lost.saturating_add(commit.lost);
        lease.prolong(commit.lease_until);

        let (saved_in, mut ahead) = self.change_state(&commit.id, &lease.state, &commit.state)?;
        lease.state = saved_in;
        let mut together = Vec::new();
        for new in &batch.threats {
            lease.totals.count(&new.threat);
            let [threat, originals] = threats::to_writes(self, new)?;
            together.push(threat);
            ahead.push(originals);
        }
        let first_alert = together.len();
        for (alert, known) in batch.alerts.iter().zip(known) {
            lease.totals.alerts += u64::from(known.update_time.is_none());
            together.push(alerts::group_write(self, &alert.group, known.update_time, commit.now)?);
        }
        for stats in &batch.minutes {
            together.push(self.minute_write(commit, stats));
        }
        together.extend(feed::writes(self, &commit.frames, commit.now)?);

        let fence = self.lease_write(&commit.id, &lease, Some(stored.update_time))?;
        let size = fence.encoded_len() + size_of_all(&together);
        let (at, ahead) = self.write_ahead(batch, stored, ahead, size).await?;
        let mut writes = vec![self.lease_write(&commit.id, &lease, Some(at))?];
        writes.extend(together);
        writes.extend(ahead);
        let committed = self.client.commit(writes).await?;
        for (place, alert) in batch.alerts.iter().enumerate() {
            let update_time = committed.update_times.get(1 + first_alert + place).copied().flatten();
            match update_time {
                Some(_) => self.known_alerts.put(
                    &alert.group.id,
                    Known {
                        case_version: alert.case_version,
                        update_time,
                    },
                ),
                None => self.known_alerts.forget(&alert.group.id),
            }
        }
        Ok(Stored {
            update_time: committed.first()?,
            lease,
        })
    }

    /// Where a request would be too large, writes what nothing points to yet (slots, deltas, originals) in requests before it.
    /// Each has the lease as it is among its writes, so that who lost the partition cannot write over the new holder's. When the
    /// lease was written last, and what is left to be written with the rest.
    async fn write_ahead(
        &self,
        batch: &Batch,
        stored: &Stored,
        ahead: Vec<Write>,
        mut size: usize,
    ) -> Result<(UpdateTime, Vec<Write>), Fault> {
        let most = self.client.max_request();
        let mut at = stored.update_time;
        let mut left = Vec::new();
        let mut request: Vec<Write> = Vec::new();
        for write in ahead {
            let length = write.encoded_len();
            if size + length <= most {
                size += length;
                left.push(write);
                continue;
            }
            if size_of_all(&request) + length > most {
                at = self.send_ahead(batch, stored, at, std::mem::take(&mut request)).await?;
            }
            request.push(write);
        }
        if !request.is_empty() {
            at = self.send_ahead(batch, stored, at, request).await?;
        }
        Ok((at, left))
    }

    async fn send_ahead(
        &self,
        batch: &Batch,
        stored: &Stored,
        at: UpdateTime,
        mut writes: Vec<Write>,
    ) -> Result<UpdateTime, Fault> {
        writes.insert(0, self.lease_write(&batch.commit.id, &stored.lease, Some(at))?);
        self.client.commit(writes).await?.first()
    }

    /// Adds to a minute of a partition: increments, which nobody has to read for.
    fn minute_write(&self, commit: &Commit, stats: &MinuteStats) -> Write {
        let id = format!("{}~{}", lease_id(&commit.id), stats.minute);
        let fields = Fields::new()
            .with("minute", int(stats.minute))
            .with("expires_at", time(self.options.clock.now().plus(self.options.history)));
        let [info, low, medium, high, critical] = stats.threats;
        let counts = [
            ("processed", stats.processed),
            ("info", info),
            ("low", low),
            ("medium", medium),
            ("high", high),
            ("critical", critical),
            ("simulated", stats.simulated_threats),
            ("alerts", stats.alerts),
            ("detected", stats.detected),
        ];
        let mut write = merge(self.client.name("minutes", &id), fields);
        for (field, count) in counts {
            if count > 0 {
                write = and_increment(write, field, int(signed(count)));
            }
        }
        if stats.detect_ms > 0.0 {
            write = and_increment(write, "detect_ms", double(stats.detect_ms));
        }
        and_server_time(write, UPDATED_AT)
    }
}

fn size_of_all(writes: &[Write]) -> usize {
    // A few bytes for each one's tag and length.
    writes.iter().map(|write| write.encoded_len() + 8).sum()
}
