//! Pages of lists that are ordered by a time, newest first, and then by the order of insertion.

use rusqlite::types::Value;
use threatstream_backend::{BackendError, Page};
use threatstream_domain::Timestamp;

use crate::fault::rejected;

/// The place of an item: its time and its number. As a cursor it names its list too, so that no other list takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) time: i64,
    pub(crate) seq: i64,
}

impl Place {
    fn parse(list: &str, cursor: &str) -> Result<Self, BackendError> {
        let foreign = || rejected("the cursor is not one of this list");
        let place = cursor.strip_prefix(list).and_then(|rest| rest.strip_prefix('.'));
        let (time, seq) = place.ok_or_else(foreign)?.split_once('.').ok_or_else(foreign)?;
        let number = |text: &str| i64::from_str_radix(text, 16).map_err(|_| foreign());
        Ok(Self {
            time: number(time)?,
            seq: number(seq)?,
        })
    }

    fn cursor(self, list: &str) -> String {
        let sign = if self.time < 0 { "-" } else { "" };
        format!("{list}.{sign}{:x}.{:x}", self.time.unsigned_abs(), self.seq)
    }
}

/// A `SELECT` that grows by conditions; every value in it is bound.
pub(crate) struct Select {
    sql: String,
    values: Vec<Value>,
    table: &'static str,
    time: &'static str,
}

impl Select {
    /// Of a table, with a time column that orders it.
    pub(crate) fn new(columns: &str, table: &'static str, time: &'static str) -> Self {
        Self {
            sql: format!("SELECT seq, {time}, {columns} FROM {table} WHERE 1"),
            values: Vec::new(),
            table,
            time,
        }
    }

    /// A condition with one `?`.
    pub(crate) fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.and_all(condition, [value.into()]);
    }

    /// A condition with a `?` for each value.
    pub(crate) fn and_all<V: Into<Value>>(&mut self, condition: &str, values: impl IntoIterator<Item = V>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.extend(values.into_iter().map(Into::into));
    }

    /// A condition with one `?`, if there is a value.
    pub(crate) fn and_if(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }

    /// A condition on a time, if there is one.
    pub(crate) fn and_time(&mut self, condition: &str, time: Option<Timestamp>) {
        self.and_if(condition, time.map(Timestamp::as_micros));
    }

    /// Only what comes after a page.
    pub(crate) fn after(&mut self, cursor: Option<&str>) -> Result<(), BackendError> {
        if let Some(cursor) = cursor {
            let place = Place::parse(self.table, cursor)?;
            let time = self.time;
            self.sql.push_str(&format!(" AND ({time}, seq) < (?, ?)"));
            self.values.extend([Value::from(place.time), Value::from(place.seq)]);
        }
        Ok(())
    }

    /// Reads a page; `item` gets the rows, whose own columns begin at 2.
    pub(crate) fn page<T>(
        mut self,
        db: &rusqlite::Connection,
        limit: usize,
        item: impl Fn(&rusqlite::Row<'_>) -> Result<T, crate::fault::Fault>,
    ) -> Result<Page<T>, crate::fault::Fault> {
        let limit = limit.clamp(1, 10_000);
        let time = self.time;
        self.sql.push_str(&format!(" ORDER BY {time} DESC, seq DESC LIMIT ?"));
        // One more than asked tells whether there is a next page.
        self.values.push(Value::from(crate::fault::int(limit as u64 + 1)));
        let mut query = db.prepare_cached(&self.sql)?;
        let mut rows = query.query(rusqlite::params_from_iter(self.values))?;
        let mut items = Vec::new();
        let mut last = None;
        while let Some(row) = rows.next()? {
            if items.len() == limit {
                return Ok(Page {
                    items,
                    next_cursor: last.map(|place: Place| place.cursor(self.table)),
                });
            }
            last = Some(Place {
                seq: row.get(0)?,
                time: row.get(1)?,
            });
            items.push(item(row)?);
        }
        Ok(Page {
            items,
            next_cursor: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_foreign_ones_are_refused() {
        for place in [
            Place { time: -5, seq: 0 },
            Place {
                time: i64::MAX,
                seq: 77,
            },
        ] {
            assert_eq!(Place::parse("threat", &place.cursor("threat")).unwrap(), place);
        }
        for foreign in [
            "",
            ".",
            "1.2",
            "threat.1.",
            "threat.x.y",
            "threat.1.2.3",
            "alert.1.2",
            "threat.1' OR 1=1 --",
        ] {
            assert!(Place::parse("threat", foreign).is_err(), "{foreign}");
        }
    }
}
