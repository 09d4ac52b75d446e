//! Stored threats.

mod query;
mod row;

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use threatstream_backend::{BackendError, Page, ThreatChange, ThreatQuery, ThreatStats, Threats, threat_update};
use threatstream_domain::{AuditRef, Original, Severity, Threat, Timestamp};

pub(super) use row::{ThreatRow, document};

use super::feed;
use crate::embedded::Embedded;
use crate::fault::{Fault, int, uint};
use crate::writer::{Promise, Session};

#[async_trait]
impl Threats for Embedded {
    async fn threat(&self, id: &str) -> Result<Option<Threat>, BackendError> {
        let id = id.to_owned();
        self.inner.readers.read(move |db| read(db, &id)).await
    }

    async fn threats_of_event(&self, event_id: &str) -> Result<Vec<Threat>, BackendError> {
        let event_id = event_id.to_owned();
        self.inner
            .readers
            .read(move |db| {
                let mut query = db.prepare_cached("SELECT body FROM threat WHERE event_id = ?1 ORDER BY seq")?;
                let mut rows = query.query([event_id])?;
                let mut threats = Vec::new();
                while let Some(row) = rows.next()? {
                    threats.push(document(row, 0)?);
                }
                Ok(threats)
            })
            .await
    }

    async fn threats(&self, query: &ThreatQuery) -> Result<Page<Threat>, BackendError> {
        let select = query::select(query)?;
        let limit = query.limit;
        self.inner
            .readers
            .read(move |db| select.page(db, limit, |row| document(row, 2)))
            .await
    }

    async fn originals(&self, id: &str) -> Result<Option<Vec<Original>>, BackendError> {
        let id = id.to_owned();
        self.inner
            .readers
            .read(move |db| {
                let packed: Option<Vec<u8>> = db
                    .prepare_cached("SELECT originals FROM threat WHERE id = ?1")?
                    .query_row([id], |row| row.get(0))
                    .optional()?;
                packed.map(|packed| row::originals(&packed)).transpose()
            })
            .await
    }

    async fn threat_stats(&self) -> Result<ThreatStats, BackendError> {
        self.inner.readers.read(stats).await
    }

    async fn change_threat(
        &self,
        id: &str,
        change: ThreatChange,
        now: Timestamp,
    ) -> Result<Option<Threat>, BackendError> {
        let id = id.to_owned();
        self.inner
            .writer
            .run(Promise::Durable, move |session| {
                change_threat(session, &id, change, now)
            })
            .await
            .map_err(|fault: Fault| fault.into())
    }
}

fn read(db: &Connection, id: &str) -> Result<Option<Threat>, Fault> {
    let mut query = db.prepare_cached("SELECT body FROM threat WHERE id = ?1")?;
    let mut rows = query.query([id])?;
    rows.next()?.map(|row| document(row, 0)).transpose()
}

/// Changes a threat and tells of it, once.
pub(super) fn change_threat(
    session: &mut Session<'_>,
    id: &str,
    change: ThreatChange,
    now: Timestamp,
) -> Result<Option<Threat>, Fault> {
    let db = session.db;
    let Some(before) = read(db, id)? else { return Ok(None) };
    let mut threat = before.clone();
    match change {
        ThreatChange::AutoBlocked(blocked) => threat.auto_blocked = blocked,
        ThreatChange::Triaged { severity, triage } => {
            threat.severity = severity;
            threat.triage = Some(triage);
            threat.audit_ref = AuditRef::Gemini;
        }
    }
    if threat == before {
        return Ok(Some(threat));
    }
    db.prepare_cached("UPDATE threat SET severity = ?2, body = ?3 WHERE id = ?1")?
        .execute(params![id, threat.severity.as_str(), serde_json::to_string(&threat)?])?;
    if threat.severity != before.severity {
        let moved = [(before.severity, -1), (threat.severity, 1)];
        add_counters(
            db,
            &moved.map(|(severity, by)| (row::severity_counter(severity), by)).into(),
        )?;
    }
    let frame = threat_update(&threat)?;
    feed::tell(session, &feed::pack(&[frame])?, now)?;
    session.touched.store = true;
    Ok(Some(threat))
}

/// Adds to the counters, both those of what is kept and those of all time.
pub(super) fn add_counters(db: &Connection, counters: &BTreeMap<String, i64>) -> Result<(), Fault> {
    let mut add = db.prepare_cached(
        "INSERT INTO counter (name, kept, total) VALUES (?1, ?2, ?2)
         ON CONFLICT (name) DO UPDATE SET kept = kept + ?2, total = total + ?2",
    )?;
    for (name, by) in counters {
        add.execute(params![name, by])?;
    }
    Ok(())
}

fn stats(db: &Connection) -> Result<ThreatStats, Fault> {
    let mut stats = ThreatStats::default();
    for severity in Severity::NAMES {
        stats.severity_distribution.insert((*severity).to_owned(), 0);
    }
    let mut query = db.prepare_cached("SELECT name, kept FROM counter WHERE kept > 0")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (name, count) = (row.get::<_, String>(0)?, uint(row.get(1)?));
        match name.split_once('.') {
            Some(("severity", severity)) => drop(stats.severity_distribution.insert(severity.to_owned(), count)),
            Some(("type", kind)) => drop(stats.type_distribution.insert(kind.to_owned(), count)),
            _ if name == "threats" => stats.total_threats = count,
            _ => {}
        }
    }
    Ok(stats)
}

/// Removes the oldest threats beyond `keep`; true when there may be more of them.
pub(crate) fn trim(session: &mut Session<'_>, keep: u64, at_once: i64) -> Result<bool, Fault> {
    let db = session.db;
    let kept: i64 = db
        .prepare_cached("SELECT kept FROM counter WHERE name = 'threats'")?
        .query_row([], |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let excess = kept.saturating_sub(int(keep)).min(at_once);
    if excess <= 0 {
        return Ok(false);
    }
    let mut removed: BTreeMap<String, i64> = BTreeMap::new();
    let mut query = db.prepare_cached(
        "DELETE FROM threat WHERE seq IN (SELECT seq FROM threat ORDER BY analyzed_at, seq LIMIT ?1)
         RETURNING severity, threat_type",
    )?;
    let mut rows = query.query([excess])?;
    while let Some(row) = rows.next()? {
        let (severity, kind): (String, String) = (row.get(0)?, row.get(1)?);
        for name in [
            "threats".to_owned(),
            format!("severity.{severity}"),
            format!("type.{kind}"),
        ] {
            *removed.entry(name).or_default() += 1;
        }
    }
    for (name, by) in &removed {
        db.prepare_cached("UPDATE counter SET kept = kept - ?2 WHERE name = ?1")?
            .execute(params![name, by])?;
    }
    Ok(excess == at_once)
}
