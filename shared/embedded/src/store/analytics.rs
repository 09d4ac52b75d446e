//! Counters over time.

use async_trait::async_trait;
use rusqlite::Connection;
use threatstream_backend::{Analytics, BackendError, Totals};
use threatstream_domain::{MinuteStats, Timestamp};

use crate::embedded::Embedded;
use crate::fault::{Fault, uint};

#[async_trait]
impl Analytics for Embedded {
    async fn minutes(&self, from: i64, to: i64) -> Result<Vec<MinuteStats>, BackendError> {
        self.inner.readers.read(move |db| minutes(db, from, to)).await
    }

    async fn totals(&self, now: Timestamp) -> Result<Totals, BackendError> {
        self.inner.readers.read(move |db| totals(db, now)).await
    }
}

fn minutes(db: &Connection, from: i64, to: i64) -> Result<Vec<MinuteStats>, Fault> {
    let mut query = db.prepare_cached("SELECT * FROM minute WHERE minute BETWEEN ?1 AND ?2 ORDER BY minute")?;
    let minutes = query
        .query_map([from, to], |row| {
            let count = |at: usize| row.get(at).map(uint);
            Ok(MinuteStats {
                minute: row.get(0)?,
                processed: count(1)?,
                threats: [count(2)?, count(3)?, count(4)?, count(5)?, count(6)?],
                simulated_threats: count(7)?,
                alerts: count(8)?,
                detect_ms: row.get(9)?,
                detected: count(10)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(minutes)
}

fn totals(db: &Connection, now: Timestamp) -> Result<Totals, Fault> {
    let mut totals = Totals::default();
    let mut query =
        db.prepare_cached("SELECT name, total FROM counter WHERE name IN ('threats', 'alerts', 'severity.CRITICAL')")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let total = uint(row.get(1)?);
        match row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)? {
            "threats" => totals.threats_detected = total,
            "alerts" => totals.alerts_generated = total,
            _ => totals.critical = total,
        }
    }
    totals.blocked = db
        .prepare_cached("SELECT count(DISTINCT ip) FROM blocked WHERE expires_at > ?1")?
        .query_row([now.as_micros()], |row| row.get(0).map(uint))?;
    Ok(totals)
}
