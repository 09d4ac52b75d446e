//! Stored alerts: the analyzer's part and the analysts' part of each, side by side.

use std::collections::HashMap;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use threatstream_backend::{AlertQuery, Alerts, BackendError, Page};
use threatstream_domain::{Alert, AlertCase, AlertGroup, AlertStatus, Frame, FrameKind, Timestamp};

use super::page::Select;
use super::{feed, threats};
use crate::embedded::Embedded;
use crate::fault::{Fault, int, rejected};
use crate::writer::{Promise, Session};

#[async_trait]
impl Alerts for Embedded {
    async fn alert(&self, id: &str) -> Result<Option<Alert>, BackendError> {
        let id = id.to_owned();
        self.inner.readers.read(move |db| read(db, &id)).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>, BackendError> {
        let mut select = Select::new("analyzer, analysts", "alert", "created_at");
        select.and_if("closed = ?", query.active.then_some(0i64));
        select.and_if("status = ?", query.status.map(|status| status.as_str().to_owned()));
        select.and_if(
            "priority = ?",
            query.priority.map(|priority| priority.as_str().to_owned()),
        );
        select.and_if("assignee = ?", query.assignee.clone());
        select.and_time("acknowledged = 0 AND due_at < ?", query.overdue_at);
        select.and_time("updated_at >= ?", query.updated_since);
        select.after(query.cursor.as_deref())?;
        let limit = query.limit;
        self.inner
            .readers
            .read(move |db| select.page(db, limit, |row| document(row, 2)))
            .await
    }

    async fn cases(&self, ids: &[String]) -> Result<HashMap<String, AlertCase>, BackendError> {
        let ids = ids.to_vec();
        self.inner
            .readers
            .read(move |db| {
                let mut query = db.prepare_cached("SELECT analysts FROM alert WHERE id = ?1")?;
                let mut cases = HashMap::with_capacity(ids.len());
                for id in ids {
                    let text: Option<String> = query.query_row([&id], |row| row.get(0)).optional()?;
                    if let Some(text) = text {
                        cases.insert(id, serde_json::from_str(&text)?);
                    }
                }
                Ok(cases)
            })
            .await
    }

    async fn save_case(
        &self,
        id: &str,
        expected_version: u64,
        case: AlertCase,
        now: Timestamp,
    ) -> Result<Option<Alert>, BackendError> {
        if case.version == expected_version {
            return Err(rejected("a change of an alert has a version of its own"));
        }
        let id = id.to_owned();
        self.inner
            .writer
            .run(Promise::Durable, move |session| {
                save_case(session, &id, expected_version, &case, now)
            })
            .await
            .map_err(|fault: Fault| fault.into())
    }

    async fn tell_overdue(&self, limit: usize, now: Timestamp) -> Result<Vec<Alert>, BackendError> {
        // Most of the time there are none: that is to be known without a write.
        let found = self.inner.readers.read(move |db| overdue(db, limit, now)).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        self.inner
            .writer
            .run(Promise::Durable, move |session| tell_overdue(session, limit, now))
            .await
            .map_err(|fault: Fault| fault.into())
    }
}

fn read(db: &Connection, id: &str) -> Result<Option<Alert>, Fault> {
    let mut query = db.prepare_cached("SELECT analyzer, analysts FROM alert WHERE id = ?1")?;
    let mut rows = query.query([id])?;
    rows.next()?.map(|row| document(row, 0)).transpose()
}

fn document(row: &Row<'_>, column: usize) -> Result<Alert, Fault> {
    Ok(Alert {
        group: threats::document(row, column)?,
        case: threats::document(row, column + 1)?,
    })
}

/// Writes the analyzer's part; true when the alert is new.
pub(super) fn write_group(db: &Connection, group: &AlertGroup, json: &str, now: Timestamp) -> Result<bool, Fault> {
    let updated = db
        .prepare_cached(
            "UPDATE alert SET analyzer = ?2, created_at = ?3, due_at = ?4, priority = ?5, updated_at = max(updated_at, ?6)
             WHERE id = ?1",
        )?
        .execute(params![
            group.id,
            json,
            group.created_at.as_micros(),
            group.due_at.as_micros(),
            group.priority.as_str(),
            now.as_micros()
        ])?;
    if updated > 0 {
        return Ok(false);
    }
    db.prepare_cached(
        "INSERT INTO alert (id, created_at, updated_at, due_at, priority, status, closed, assignee, acknowledged,
           case_version, analyzer, analysts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, NULL, 0, 0, ?7, ?8)",
    )?
    .execute(params![
        group.id,
        group.created_at.as_micros(),
        now.as_micros(),
        group.due_at.as_micros(),
        group.priority.as_str(),
        AlertStatus::New.as_str(),
        json,
        serde_json::to_string(&AlertCase::default())?
    ])?;
    Ok(true)
}

fn save_case(
    session: &mut Session<'_>,
    id: &str,
    expected_version: u64,
    case: &AlertCase,
    now: Timestamp,
) -> Result<Option<Alert>, Fault> {
    let db = session.db;
    let saved = db
        .prepare_cached(
            "UPDATE alert SET analysts = ?3, status = ?4, closed = ?5, assignee = ?6, acknowledged = ?7,
               case_version = ?8, updated_at = max(updated_at, ?9)
             WHERE id = ?1 AND case_version = ?2",
        )?
        .execute(params![
            id,
            int(expected_version),
            serde_json::to_string(case)?,
            case.status.as_str(),
            case.status.is_closed(),
            case.assigned_to,
            case.acknowledged_at.is_some(),
            int(case.version),
            now.as_micros()
        ])?;
    if saved == 0 {
        return Ok(None);
    }
    let Some(alert) = read(db, id)? else { return Ok(None) };
    let frame = Frame::new(FrameKind::AlertUpdate, Some(alert.group.severity), &alert)?;
    feed::tell(session, &feed::pack(&[frame])?, now)?;
    session.touched.store = true;
    Ok(Some(alert))
}

/// Alerts that are overdue and were not told of, the longest due first.
fn overdue(db: &Connection, limit: usize, now: Timestamp) -> Result<Vec<Alert>, Fault> {
    let mut query = db.prepare_cached(
        "SELECT analyzer, analysts FROM alert
         WHERE acknowledged = 0 AND due_at < ?1 AND id NOT IN (SELECT alert FROM overdue_told)
         ORDER BY due_at, seq LIMIT ?2",
    )?;
    let mut rows = query.query(params![now.as_micros(), int(limit as u64)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(document(row, 0)?);
    }
    Ok(found)
}

fn tell_overdue(session: &mut Session<'_>, limit: usize, now: Timestamp) -> Result<Vec<Alert>, Fault> {
    let alerts = overdue(session.db, limit, now)?;
    let mut frames = Vec::with_capacity(alerts.len());
    let mut told = session.db.prepare_cached("INSERT INTO overdue_told VALUES (?1)")?;
    for alert in &alerts {
        told.execute([&alert.group.id])?;
        frames.push(Frame::new(FrameKind::AlertUpdate, Some(alert.group.severity), alert)?);
    }
    feed::tell(session, &feed::pack(&frames)?, now)?;
    session.touched.store = true;
    Ok(alerts)
}
