//! A threat as a row.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};
use serde::de::DeserializeOwned;
use threatstream_backend::NewThreat;
use threatstream_domain::{Original, Severity, Threat};

use crate::fault::{Fault, rejected};

/// Between the texts that a search looks in; no search finds across it.
const BORDER: char = '\u{1}';

/// A new threat with its documents made.
pub(crate) struct ThreatRow {
    threat: Threat,
    search: String,
    body: String,
    originals: Vec<u8>,
}

impl ThreatRow {
    pub(crate) fn of(new: &NewThreat) -> Result<Self, Fault> {
        let threat = new.threat.clone();
        let searched = [
            Some(&threat.description),
            Some(&threat.id),
            threat.source_ip.as_ref(),
            threat.destination_ip.as_ref(),
            threat.user.as_ref(),
            threat.host.as_ref(),
        ];
        let mut search = String::new();
        for text in searched.into_iter().flatten() {
            search.push_str(&folded(text));
            search.push(BORDER);
        }
        Ok(Self {
            search,
            body: serde_json::to_string(&threat)?,
            originals: lz4_flex::compress_prepend_size(&serde_json::to_vec(&new.originals)?),
            threat,
        })
    }

    /// Writes it; false when there is one of this id.
    pub(crate) fn insert(&self, db: &Connection) -> Result<bool, Fault> {
        let threat = &self.threat;
        let written = db
            .prepare_cached(
                "INSERT INTO threat (id, event_id, analyzed_at, severity, threat_type, source_ip, technique, simulated,
                   search, body, originals)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![
                threat.id,
                threat.event_id,
                threat.analyzed_at.as_micros(),
                threat.severity.as_str(),
                threat.threat_type.as_str(),
                threat.source_ip,
                threat.mitre_attack_id,
                threat.simulated,
                self.search,
                self.body,
                self.originals
            ])?;
        Ok(written == 1)
    }

    /// What it adds to the counters.
    pub(crate) fn count(&self, counters: &mut BTreeMap<String, i64>) {
        let kind = format!("type.{}", self.threat.threat_type.as_str());
        for name in ["threats".to_owned(), severity_counter(self.threat.severity), kind] {
            *counters.entry(name).or_default() += 1;
        }
    }
}

/// The counter of threats of a severity.
pub(crate) fn severity_counter(severity: Severity) -> String {
    format!("severity.{}", severity.as_str())
}

/// A text as searches compare it.
pub(crate) fn folded(text: &str) -> String {
    text.to_lowercase().replace(BORDER, " ")
}

/// A document in a column.
pub(crate) fn document<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, Fault> {
    let text = row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(serde_json::from_str(text)?)
}

pub(crate) fn originals(packed: &[u8]) -> Result<Vec<Original>, Fault> {
    let json = lz4_flex::decompress_size_prepended(packed).map_err(|_| rejected("stored originals are damaged"))?;
    Ok(serde_json::from_slice(&json)?)
}
