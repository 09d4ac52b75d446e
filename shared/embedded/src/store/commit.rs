//! The one commit that moves a partition on, with everything its batch led to.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params};
use threatstream_backend::{AlertWrite, BackendError, Commit, CommitError};
use threatstream_domain::{MinuteStats, Tally};

use super::threats::{self, ThreatRow};
use super::{alerts, feed, leases};
use crate::fault::{Fault, int, rejected};
use crate::writer::{Failure, Session};

/// Why a commit was not made.
pub(super) enum Failed {
    Commit(CommitError),
    Fault(Fault),
}

impl From<BackendError> for Failed {
    fn from(error: BackendError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Fault(error.into())
    }
}

impl Failure for Failed {
    fn cause(&self) -> Option<BackendError> {
        match self {
            Self::Commit(CommitError::Backend(error)) => error.cause(),
            Self::Commit(_) => None,
            Self::Fault(fault) => fault.cause(),
        }
    }
}

/// A commit with its documents made.
pub(super) struct Prepared {
    commit: Commit,
    unpublished: String,
    threats: Vec<ThreatRow>,
    alerts: Vec<(AlertWrite, String)>,
    frames: Vec<u8>,
}

impl Prepared {
    pub(super) fn of(mut commit: Commit) -> Result<Self, Fault> {
        if commit.next_offset < commit.expected_offset {
            return Err(rejected("a commit cannot move a checkpoint back").into());
        }
        let threats = std::mem::take(&mut commit.threats);
        let alerts = std::mem::take(&mut commit.alerts);
        let frames = std::mem::take(&mut commit.frames);
        Ok(Self {
            unpublished: serde_json::to_string(&commit.unpublished)?,
            threats: threats.iter().map(ThreatRow::of).collect::<Result<_, _>>()?,
            alerts: alerts
                .into_iter()
                .map(|alert| {
                    let json = serde_json::to_string(&alert.group)?;
                    Ok((alert, json))
                })
                .collect::<Result<_, Fault>>()?,
            frames: feed::pack(&frames)?,
            commit,
        })
    }

    pub(super) fn write(self, session: &mut Session<'_>) -> Result<(), Failed> {
        let (db, commit) = (session.db, &self.commit);
        let Some(checkpoint) = leases::read(db, &commit.id)? else {
            return Err(Failed::Commit(CommitError::Refused));
        };
        if checkpoint.batch_id.as_ref() == Some(&commit.batch_id) {
            return Ok(());
        }
        if checkpoint.owner_epoch != commit.owner_epoch || checkpoint.next_offset != commit.expected_offset {
            return Err(Failed::Commit(CommitError::Refused));
        }
        let changed = self.changed_alerts(db)?;
        if !changed.is_empty() {
            return Err(Failed::Commit(CommitError::AlertsChanged(changed)));
        }
        let mut tally: Tally = checkpoint.tally;
        tally.add(&commit.tally);
        self.move_on(db, &tally, checkpoint.lost.saturating_add(commit.lost))?;
        leases::change_state(db, &commit.id, &commit.state)?;
        let mut counters: BTreeMap<String, i64> = BTreeMap::new();
        for threat in &self.threats {
            if threat.insert(db)? {
                threat.count(&mut counters);
            }
        }
        for (alert, json) in &self.alerts {
            if alerts::write_group(db, &alert.group, json, commit.now)? {
                *counters.entry("alerts".to_owned()).or_default() += 1;
            }
        }
        threats::add_counters(db, &counters)?;
        for minute in &commit.minutes {
            add_minute(db, minute)?;
        }
        feed::tell(session, &self.frames, commit.now)?;
        session.touched.store = true;
        Ok(())
    }

    /// The alerts that are not at the version they were judged on.
    fn changed_alerts(&self, db: &Connection) -> Result<Vec<String>, Fault> {
        let mut query = db.prepare_cached("SELECT case_version FROM alert WHERE id = ?1")?;
        let mut changed = Vec::new();
        let mut seen = HashSet::new();
        for (alert, _) in &self.alerts {
            let version: Option<i64> = query.query_row([&alert.group.id], |row| row.get(0)).optional()?;
            if version.unwrap_or(0) != int(alert.case_version) && seen.insert(&alert.group.id) {
                changed.push(alert.group.id.clone());
            }
        }
        Ok(changed)
    }

    fn move_on(&self, db: &Connection, tally: &Tally, lost: u64) -> Result<(), Fault> {
        let commit = &self.commit;
        db.prepare_cached(
            "UPDATE lease SET next_offset = ?3, batch_id = ?4, unpublished = ?5, tally = ?6, lost = ?7,
               lease_until = CASE WHEN owner IS NULL THEN lease_until ELSE max(lease_until, ?8) END
             WHERE topic = ?1 AND partition = ?2",
        )?
        .execute(params![
            commit.id.topic,
            commit.id.partition,
            int(commit.next_offset),
            commit.batch_id,
            self.unpublished,
            serde_json::to_string(tally)?,
            int(lost),
            commit.lease_until.as_micros()
        ])?;
        Ok(())
    }
}

fn add_minute(db: &Connection, stats: &MinuteStats) -> Result<(), Fault> {
    let [info, low, medium, high, critical] = stats.threats.map(int);
    db.prepare_cached(
        "INSERT INTO minute VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (minute) DO UPDATE SET
           processed = processed + ?2, info = info + ?3, low = low + ?4, medium = medium + ?5, high = high + ?6,
           critical = critical + ?7, simulated = simulated + ?8, alerts = alerts + ?9, detect_ms = detect_ms + ?10,
           detected = detected + ?11",
    )?
    .execute(params![
        stats.minute,
        int(stats.processed),
        info,
        low,
        medium,
        high,
        critical,
        int(stats.simulated_threats),
        int(stats.alerts),
        stats.detect_ms,
        int(stats.detected)
    ])?;
    Ok(())
}
