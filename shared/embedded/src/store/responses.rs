//! Executions and the blocklist.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use threatstream_backend::{BackendError, Effect, ExecutionQuery, Page, Responses, ThreatChange};
use threatstream_domain::{BlockEntry, Execution, Frame, FrameKind, Timestamp};

use super::page::Select;
use super::{feed, threats};
use crate::embedded::Embedded;
use crate::fault::{Fault, int};
use crate::writer::{Promise, Session};

#[async_trait]
impl Responses for Embedded {
    async fn create_execution(&self, execution: &Execution, now: Timestamp) -> Result<bool, BackendError> {
        let execution = execution.clone();
        self.inner
            .writer
            .run(Promise::Durable, move |session| create(session, &execution, now))
            .await
            .map_err(|fault: Fault| fault.into())
    }

    async fn save_execution(
        &self,
        execution: &Execution,
        effects: &[Effect],
        now: Timestamp,
    ) -> Result<Option<Execution>, BackendError> {
        let (execution, effects) = (execution.clone(), effects.to_vec());
        self.inner
            .writer
            .run(Promise::Durable, move |session| save(session, execution, effects, now))
            .await
            .map_err(|fault: Fault| fault.into())
    }

    async fn execution(&self, id: &str) -> Result<Option<Execution>, BackendError> {
        let id = id.to_owned();
        self.inner
            .readers
            .read(move |db| {
                let mut query = db.prepare_cached("SELECT body FROM execution WHERE id = ?1")?;
                let mut rows = query.query([id])?;
                rows.next()?.map(|row| threats::document(row, 0)).transpose()
            })
            .await
    }

    async fn executions(&self, query: &ExecutionQuery) -> Result<Page<Execution>, BackendError> {
        let mut select = Select::new("body", "execution", "started_at");
        select.and_if("threat_id = ?", query.threat_id.clone());
        select.and_if("playbook_id = ?", query.playbook_id.clone());
        select.and_if("status = ?", query.status.map(|status| status.as_str().to_owned()));
        select.after(query.cursor.as_deref())?;
        let limit = query.limit;
        self.inner
            .readers
            .read(move |db| select.page(db, limit, |row| threats::document(row, 2)))
            .await
    }

    async fn blocklist(&self, now: Timestamp) -> Result<Vec<BlockEntry>, BackendError> {
        self.inner.readers.read(move |db| blocklist(db, now)).await
    }
}

fn told(execution: &Execution) -> Result<Vec<u8>, Fault> {
    feed::pack(&[Frame::new(FrameKind::PlaybookStatus, None, execution)?])
}

fn create(session: &mut Session<'_>, execution: &Execution, now: Timestamp) -> Result<bool, Fault> {
    let written = session
        .db
        .prepare_cached(
            "INSERT INTO execution (id, started_at, threat_id, playbook_id, status, version, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            execution.execution_id,
            execution.started_at.as_micros(),
            execution.threat_id,
            execution.playbook_id,
            execution.status.as_str(),
            int(execution.version),
            serde_json::to_string(execution)?
        ])?;
    if written == 0 {
        return Ok(false);
    }
    feed::tell(session, &told(execution)?, now)?;
    Ok(true)
}

fn save(
    session: &mut Session<'_>,
    mut execution: Execution,
    effects: Vec<Effect>,
    now: Timestamp,
) -> Result<Option<Execution>, Fault> {
    let seen = int(execution.version);
    execution.version += 1;
    let saved = session
        .db
        .prepare_cached(
            "UPDATE execution SET status = ?3, version = ?4, body = ?5, started_at = ?6 WHERE id = ?1 AND version = ?2",
        )?
        .execute(params![
            execution.execution_id,
            seen,
            execution.status.as_str(),
            int(execution.version),
            serde_json::to_string(&execution)?,
            execution.started_at.as_micros()
        ])?;
    if saved == 0 {
        return Ok(None);
    }
    for effect in effects {
        match effect {
            Effect::Block(entry) => block(session.db, &entry)?,
            Effect::Unblock { ip, execution_id } => {
                session
                    .db
                    .prepare_cached("DELETE FROM blocked WHERE ip = ?1 AND execution_id = ?2")?
                    .execute([ip, execution_id])?;
            }
            Effect::AutoBlocked { threat_id, blocked } => {
                threats::change_threat(session, &threat_id, ThreatChange::AutoBlocked(blocked), now)?;
            }
        }
    }
    feed::tell(session, &told(&execution)?, now)?;
    Ok(Some(execution))
}

/// Each execution has its own entry for an address, so that one that lifts its block does not lift another's.
fn block(db: &Connection, entry: &BlockEntry) -> Result<(), Fault> {
    db.prepare_cached(
        "INSERT INTO blocked (ip, execution_id, blocked_at, expires_at, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (ip, execution_id) DO UPDATE SET blocked_at = ?3, expires_at = ?4, body = ?5
         WHERE expires_at < ?4",
    )?
    .execute(params![
        entry.ip,
        entry.execution_id,
        entry.blocked_at.as_micros(),
        entry.expires_at.as_micros(),
        serde_json::to_string(entry)?
    ])?;
    Ok(())
}

/// Of the entries of an address, the one that holds longest.
fn blocklist(db: &Connection, now: Timestamp) -> Result<Vec<BlockEntry>, Fault> {
    let mut query = db.prepare_cached(
        "SELECT body FROM (
           SELECT body, blocked_at, ip,
                  row_number() OVER (PARTITION BY ip ORDER BY expires_at DESC, blocked_at, execution_id) AS place
           FROM blocked WHERE expires_at > ?1)
         WHERE place = 1 ORDER BY blocked_at DESC, ip",
    )?;
    let mut rows = query.query([now.as_micros()])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(threats::document(row, 0)?);
    }
    Ok(entries)
}
