//! The tables, and how connections are set up.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// The version of the tables below, kept in the file.
pub(crate) const VERSION: i64 = 1;

/// Times are microseconds since 1970. Documents are JSON; a column beside a document is what queries ask for.
///
/// `block.id` is `slot << 40 | last offset`, where a slot is a partition of a topic: blocks of a partition lie together in the
/// order of offsets, with no second index to write. `counter.kept` is about what is stored now, `counter.total` about all
/// time. A task's `due_at` is when it may be handed out: of one in flight, when its lease runs out.
const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL);
CREATE TABLE log_partition (
  slot INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL, bytes INTEGER NOT NULL, last_time INTEGER NOT NULL);
CREATE TABLE block (
  id INTEGER PRIMARY KEY, first_offset INTEGER NOT NULL, last_time INTEGER NOT NULL, bytes INTEGER NOT NULL,
  data BLOB NOT NULL);

CREATE TABLE lease_topic (topic TEXT PRIMARY KEY, partitions INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE lease (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, owner TEXT, lease_until INTEGER NOT NULL, epoch INTEGER NOT NULL,
  next_offset INTEGER NOT NULL, batch_id TEXT, unpublished TEXT NOT NULL, tally TEXT NOT NULL, lost INTEGER NOT NULL,
  PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE state_slot (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, slot INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (topic, partition, slot));
CREATE TABLE state_delta (
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX state_delta_by_partition ON state_delta (topic, partition);

CREATE TABLE threat (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, event_id TEXT NOT NULL, analyzed_at INTEGER NOT NULL,
  severity TEXT NOT NULL, threat_type TEXT NOT NULL, source_ip TEXT, technique TEXT, simulated INTEGER NOT NULL,
  search TEXT NOT NULL, body TEXT NOT NULL, originals BLOB NOT NULL);
CREATE INDEX threat_by_time ON threat (analyzed_at);
CREATE INDEX threat_by_event ON threat (event_id);
CREATE INDEX threat_by_source ON threat (source_ip, analyzed_at);
CREATE INDEX threat_by_severity ON threat (severity, analyzed_at);
CREATE INDEX threat_by_type ON threat (threat_type, analyzed_at);
CREATE TABLE counter (name TEXT PRIMARY KEY, kept INTEGER NOT NULL, total INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE minute (
  minute INTEGER PRIMARY KEY, processed INTEGER NOT NULL, info INTEGER NOT NULL, low INTEGER NOT NULL,
  medium INTEGER NOT NULL, high INTEGER NOT NULL, critical INTEGER NOT NULL, simulated INTEGER NOT NULL,
  alerts INTEGER NOT NULL, detect_ms REAL NOT NULL, detected INTEGER NOT NULL);

CREATE TABLE alert (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  due_at INTEGER NOT NULL, priority TEXT NOT NULL, status TEXT NOT NULL, closed INTEGER NOT NULL, assignee TEXT,
  acknowledged INTEGER NOT NULL, case_version INTEGER NOT NULL, analyzer TEXT NOT NULL, analysts TEXT NOT NULL);
CREATE INDEX alert_by_time ON alert (created_at);
CREATE INDEX alert_open ON alert (created_at) WHERE closed = 0;
CREATE INDEX alert_by_update ON alert (updated_at);

CREATE TABLE feed (seq INTEGER PRIMARY KEY, committed_at INTEGER NOT NULL, frames BLOB NOT NULL);

CREATE TABLE execution (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, started_at INTEGER NOT NULL, threat_id TEXT NOT NULL,
  playbook_id TEXT NOT NULL, status TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX execution_by_time ON execution (started_at);
CREATE INDEX execution_by_threat ON execution (threat_id, started_at);
CREATE TABLE blocked (
  ip TEXT NOT NULL, execution_id TEXT NOT NULL, blocked_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  body TEXT NOT NULL, PRIMARY KEY (ip, execution_id)) WITHOUT ROWID;
CREATE INDEX blocked_by_expiry ON blocked (expires_at);

CREATE TABLE task (
  seq INTEGER PRIMARY KEY, queue TEXT NOT NULL, id TEXT NOT NULL, payload TEXT NOT NULL, state INTEGER NOT NULL,
  attempt INTEGER NOT NULL, due_at INTEGER NOT NULL, finished_at INTEGER, error TEXT, UNIQUE (queue, id));
CREATE INDEX task_due ON task (queue, due_at) WHERE state < 2;
CREATE INDEX task_finished ON task (queue, state, finished_at) WHERE state >= 2;
";

/// What came after the first files of this version were made: nothing in it changes what is there, and a file gets it when it is opened.
const ADDED: &str = "
CREATE TABLE IF NOT EXISTS overdue_told (alert TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alert_by_due ON alert (due_at) WHERE acknowledged = 0;
";

/// How much a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synchronous {
    /// A commit is on the disk when it returns.
    Full,
    /// A commit is with the system when it returns.
    Normal,
}

/// A connection that writes. Checkpoints of the WAL are made apart from commits, so that no commit waits for one.
pub(crate) fn write_connection(file: &Path, synchronous: Synchronous) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    set_up(&connection, 2048)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let level = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", level)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", 32 << 20)?;
    Ok(connection)
}

/// A connection that reads. The file must be there.
pub(crate) fn read_connection(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    set_up(&connection, 1024)?;
    Ok(connection)
}

fn set_up(connection: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

/// Makes the tables in a new file; the version found in the file.
pub(crate) fn prepare(connection: &mut Connection, epoch: &str) -> rusqlite::Result<i64> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found == VERSION {
        connection.execute_batch(ADDED)?;
    }
    if found != 0 {
        return Ok(found);
    }
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(ADDED)?;
    transaction.execute("INSERT INTO meta VALUES ('epoch', ?1), ('feed_floor', 0)", [epoch])?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promised_commits_wait_for_the_disk_and_others_do_not() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("x.db");
        for (synchronous, level) in [(Synchronous::Full, 2), (Synchronous::Normal, 1)] {
            let connection = write_connection(&file, synchronous).unwrap();
            let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
            assert_eq!(pragma("synchronous").unwrap(), level);
            assert_eq!(pragma("wal_autocheckpoint").unwrap(), 0);
            let mode: String = connection
                .query_row("PRAGMA journal_mode", [], |row| row.get(0))
                .unwrap();
            assert_eq!(mode, "wal");
        }
    }
}
