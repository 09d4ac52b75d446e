//! A query for threats as SQL.

use rusqlite::types::Value;
use threatstream_backend::{BackendError, ThreatQuery};

use super::super::page::Select;
use super::row::folded;

/// Every condition has its values bound. Text is looked for with `instr`, which knows no wildcards.
pub(crate) fn select(query: &ThreatQuery) -> Result<Select, BackendError> {
    let mut select = Select::new("body", "threat", "analyzed_at");
    select.and_if(
        "severity = ?",
        query.severity.map(|severity| severity.as_str().to_owned()),
    );
    select.and_if(
        "threat_type = ?",
        query.threat_type.map(|kind| kind.as_str().to_owned()),
    );
    select.and_if("source_ip = ?", query.source_ip.clone());
    if let Some(technique) = &query.technique {
        // T1110 asks for T1110 and T1110.001, not for T11100.
        let technique = technique.to_uppercase();
        let below = format!("{technique}.");
        select.and_all(
            "(technique = ? OR substr(technique, 1, length(?)) = ?)",
            [technique, below.clone(), below],
        );
    }
    select.and_time("analyzed_at >= ?", query.since);
    select.and_time("analyzed_at < ?", query.until);
    select.and_if(
        "simulated = ?",
        query.simulated.map(|simulated| Value::from(i64::from(simulated))),
    );
    select.and_if("instr(search, ?) > 0", query.text.as_deref().map(folded));
    select.after(query.cursor.as_deref())?;
    Ok(select)
}
