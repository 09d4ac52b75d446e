//! Leases and checkpoints.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, Row, params};
use threatstream_backend::{BackendError, Checkpoint, Commit, CommitError, Leases, PartitionId, SavedState};
use threatstream_domain::Timestamp;

use super::commit;
use crate::embedded::Embedded;
use crate::fault::{BACKEND, Fault, int, uint};
use crate::writer::{Promise, Session};

const COLUMNS: &str = "partition, next_offset, epoch, batch_id, lease_until, unpublished, tally, lost";

#[async_trait]
impl Leases for Embedded {
    async fn acquire(
        &self,
        id: &PartitionId,
        partitions: u32,
        owner: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Checkpoint>, BackendError> {
        id.check(partitions, None, BACKEND)?;
        let (id, owner) = (id.clone(), owner.to_owned());
        self.inner
            .writer
            .run(Promise::Redoable, move |session| {
                acquire(session, &id, partitions, &owner, now.plus(ttl), now)
            })
            .await
            .map_err(|fault: Fault| fault.into())
    }

    async fn renew(
        &self,
        id: &PartitionId,
        owner_epoch: u64,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<bool, BackendError> {
        let id = id.clone();
        self.inner
            .writer
            .run::<_, Fault, _>(Promise::Redoable, move |session| {
                let changed = session
                    .db
                    .prepare_cached(
                        "UPDATE lease SET lease_until = ?4
                         WHERE topic = ?1 AND partition = ?2 AND epoch = ?3 AND owner IS NOT NULL",
                    )?
                    .execute(params![
                        id.topic,
                        id.partition,
                        int(owner_epoch),
                        now.plus(ttl).as_micros()
                    ])?;
                Ok(changed == 1)
            })
            .await
            .map_err(Into::into)
    }

    async fn release(&self, id: &PartitionId, owner_epoch: u64) -> Result<(), BackendError> {
        let id = id.clone();
        self.inner
            .writer
            .run::<_, Fault, _>(Promise::Redoable, move |session| {
                session
                    .db
                    .prepare_cached(
                        "UPDATE lease SET owner = NULL, lease_until = 0
                         WHERE topic = ?1 AND partition = ?2 AND epoch = ?3",
                    )?
                    .execute(params![id.topic, id.partition, int(owner_epoch)])?;
                Ok(())
            })
            .await
            .map_err(Into::into)
    }

    async fn checkpoints(&self, topic: &str) -> Result<Vec<Checkpoint>, BackendError> {
        let topic = topic.to_owned();
        self.inner
            .readers
            .read(move |db| {
                let mut query = db.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM lease WHERE topic = ?1 ORDER BY partition"
                ))?;
                let mut rows = query.query([topic])?;
                let mut checkpoints = Vec::new();
                while let Some(row) = rows.next()? {
                    checkpoints.push(checkpoint(row)?);
                }
                Ok(checkpoints)
            })
            .await
    }

    async fn load_state(&self, id: &PartitionId) -> Result<SavedState, BackendError> {
        let id = id.clone();
        self.inner.readers.read(move |db| load_state(db, &id)).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        // Documents are made here, so that the thread that writes has only to write them.
        let prepared = commit::Prepared::of(commit)?;
        self.inner
            .writer
            .run(Promise::Redoable, move |session| prepared.write(session))
            .await
            .map_err(|failed: commit::Failed| match failed {
                commit::Failed::Commit(error) => error,
                commit::Failed::Fault(fault) => fault.into(),
            })
    }
}

fn acquire(
    session: &mut Session<'_>,
    id: &PartitionId,
    partitions: u32,
    owner: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<Option<Checkpoint>, Fault> {
    let db = session.db;
    db.prepare_cached("INSERT INTO lease_topic (topic, partitions) VALUES (?1, ?2) ON CONFLICT (topic) DO NOTHING")?
        .execute(params![id.topic, partitions])?;
    let worked: u32 = db
        .prepare_cached("SELECT partitions FROM lease_topic WHERE topic = ?1")?
        .query_row([&id.topic], |row| row.get(0))?;
    id.check(partitions, Some(worked), BACKEND)?;
    let taken = db
        .prepare_cached(
            "INSERT INTO lease VALUES (?1, ?2, ?3, ?4, 1, 0, NULL, '[]', '{}', 0)
             ON CONFLICT (topic, partition) DO UPDATE SET owner = ?3, lease_until = ?4, epoch = epoch + 1
             WHERE owner IS NULL OR owner = ?3 OR lease_until <= ?5",
        )?
        .execute(params![
            id.topic,
            id.partition,
            owner,
            until.as_micros(),
            now.as_micros()
        ])?;
    if taken == 0 {
        return Ok(None);
    }
    session.touched.store = true;
    read(db, id)
}

/// A partition's checkpoint.
pub(super) fn read(db: &Connection, id: &PartitionId) -> Result<Option<Checkpoint>, Fault> {
    let mut query = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM lease WHERE topic = ?1 AND partition = ?2"
    ))?;
    let mut rows = query.query(params![id.topic, id.partition])?;
    rows.next()?.map(checkpoint).transpose()
}

fn checkpoint(row: &Row<'_>) -> Result<Checkpoint, Fault> {
    let tally = row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(Checkpoint {
        partition: row.get(0)?,
        next_offset: uint(row.get(1)?),
        owner_epoch: uint(row.get(2)?),
        batch_id: row.get(3)?,
        lease_until: Timestamp::from_micros(row.get(4)?),
        unpublished: serde_json::from_str(row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?,
        tally: if tally == "{}" {
            Default::default()
        } else {
            serde_json::from_str(tally)?
        },
        lost: uint(row.get(7)?),
    })
}

fn load_state(db: &Connection, id: &PartitionId) -> Result<SavedState, Fault> {
    let blob = |row: &Row<'_>, at: usize| row.get::<_, Vec<u8>>(at).map(Bytes::from);
    let slots = db
        .prepare_cached("SELECT slot, data FROM state_slot WHERE topic = ?1 AND partition = ?2 ORDER BY slot")?
        .query_map(params![id.topic, id.partition], |row| Ok((row.get(0)?, blob(row, 1)?)))?
        .collect::<Result<_, _>>()?;
    let deltas = db
        .prepare_cached("SELECT data FROM state_delta WHERE topic = ?1 AND partition = ?2 ORDER BY id")?
        .query_map(params![id.topic, id.partition], |row| blob(row, 0))?
        .collect::<Result<_, _>>()?;
    Ok(SavedState { slots, deltas })
}

/// Changes a partition's saved state.
pub(crate) fn change_state(
    db: &Connection,
    id: &PartitionId,
    change: &threatstream_backend::StateChange,
) -> Result<(), Fault> {
    let Some(snapshot) = &change.snapshot else {
        if !change.delta.is_empty() {
            db.prepare_cached("INSERT INTO state_delta (topic, partition, data) VALUES (?1, ?2, ?3)")?
                .execute(params![id.topic, id.partition, &change.delta[..]])?;
        }
        return Ok(());
    };
    for (slot, data) in snapshot {
        db.prepare_cached("INSERT OR REPLACE INTO state_slot (topic, partition, slot, data) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![id.topic, id.partition, slot, &data[..]])?;
    }
    db.prepare_cached("DELETE FROM state_delta WHERE topic = ?1 AND partition = ?2")?
        .execute(params![id.topic, id.partition])?;
    Ok(())
}
