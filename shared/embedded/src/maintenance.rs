//! What is done from time to time on a thread of its own: checkpoints of the WAL, and retention.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use threatstream_backend::BackendError;
use threatstream_domain::Timestamp;

use crate::fault::Fault;
use crate::log::retention;
use crate::options::Options;
use crate::schema::{Synchronous, write_connection};
use crate::writer::{Handle, Promise, Session};

/// How often what is old is removed.
pub(crate) const RETENTION_EVERY: Duration = Duration::from_secs(60);
/// Beyond this many pages (8 MiB) the WAL is begun anew: the next start reads all of it.
const LONG_WAL: i64 = 2048;
/// A job of retention removes at most this many rows.
const ROWS_AT_ONCE: i64 = 2000;

/// What the thread is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Copy the WAL into the file.
    Checkpoint,
    /// End.
    Stop,
}

/// Whether the WAL should be begun anew.
#[derive(Debug, Default)]
pub(crate) struct Wal {
    restart: AtomicBool,
}

impl Wal {
    pub(crate) fn take_restart(&self) -> bool {
        self.restart.load(Ordering::Relaxed) && self.restart.swap(false, Ordering::Relaxed)
    }

    /// Copies what is left and begins the WAL anew. A reader in the middle of it may make this fail: then a later one does it.
    pub(crate) fn restart(&self, connection: &Connection) {
        let patience = |millis| connection.busy_timeout(Duration::from_millis(millis));
        let restarted = patience(10)
            .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get::<_, i64>(0)))
            .and_then(|busy| patience(5000).map(|()| busy));
        if let Err(error) = restarted {
            tracing::debug!(%error, "the write-ahead log was not begun anew");
        }
    }
}

/// The thread's work: checkpoints when they are called for, and retention every so often.
pub(crate) fn maintain(
    file: &Path,
    calls: &Receiver<Call>,
    wal: &Wal,
    writer: &Handle,
    options: &Options,
    every: Duration,
) {
    let mut connection = None;
    // A moment, not a wait: calls that come without end must not put retention off.
    let mut due = Instant::now() + every;
    loop {
        match calls.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Call::Checkpoint) => {
                if let Err(error) = checkpoint(file, &mut connection, wal) {
                    tracing::warn!(%error, "the write-ahead log was not copied; it grows until it is");
                    connection = None;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Call::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
        if Instant::now() >= due {
            if let Err(error) = retain(writer, options, options.clock.now()) {
                tracing::warn!(%error, "old records were not removed; it is tried again in a minute");
            }
            due = Instant::now() + every;
        }
    }
}

fn checkpoint(file: &Path, connection: &mut Option<Connection>, wal: &Wal) -> rusqlite::Result<()> {
    let connection = match connection {
        Some(connection) => connection,
        none => none.insert(write_connection(file, Synchronous::Normal)?),
    };
    let length: i64 = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?;
    if length > LONG_WAL {
        wal.restart.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Removes what is older than the options keep.
pub(crate) fn retain(writer: &Handle, options: &Options, now: Timestamp) -> Result<(), BackendError> {
    let before = now.minus(options.retention);
    // Some room is made before the cap is reached, so that appends need not make it.
    let target = options.max_log_bytes / 10 * 9;
    repeat(writer, move |session| retention::by_age(session, before))?;
    repeat(writer, move |session| retention::by_size(session, target))?;

    let feed_before = now.minus(options.feed_retention);
    let max_feed = options.max_feed_records;
    repeat(writer, move |session| {
        crate::store::trim_feed(session, feed_before, max_feed, ROWS_AT_ONCE)
    })?;
    let max_threats = options.max_threats;
    repeat(writer, move |session| {
        crate::store::trim_threats(session, max_threats, ROWS_AT_ONCE)
    })?;

    let history = now.minus(options.history);
    repeat(writer, move |session| forget(session, now, history))
}

fn repeat(
    writer: &Handle,
    work: impl Fn(&mut Session<'_>) -> Result<bool, Fault> + Copy + Send + 'static,
) -> Result<(), BackendError> {
    while writer.run_blocking(Promise::Redoable, move |session| Ok(work(session)?))? {}
    Ok(())
}

/// Counters, executions, blocks and tasks whose time is long over.
fn forget(session: &mut Session<'_>, now: Timestamp, history: Timestamp) -> Result<bool, Fault> {
    let db = session.db;
    let mut removed = 0;
    removed += db.execute(
        "DELETE FROM minute WHERE minute IN (SELECT minute FROM minute WHERE minute < ?1 LIMIT ?2)",
        params![history.minute(), ROWS_AT_ONCE],
    )?;
    removed += db.execute(
        "DELETE FROM execution WHERE seq IN (SELECT seq FROM execution
           WHERE started_at < ?1 AND status IN ('COMPLETED', 'FAILED', 'ROLLED_BACK', 'DECLINED') LIMIT ?2)",
        params![history.as_micros(), ROWS_AT_ONCE],
    )?;
    removed += db.execute("DELETE FROM blocked WHERE expires_at < ?1", [history.as_micros()])?;
    removed += crate::tasks::forget(db, now, history, ROWS_AT_ONCE)?;
    Ok(removed >= ROWS_AT_ONCE.unsigned_abs() as usize)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use threatstream_backend::conformance::samples::{noon, record};
    use threatstream_backend::{Durability, EventLog};
    use threatstream_domain::Clock;

    use super::*;
    use crate::open;
    use crate::options::FILE_NAME;

    #[test]
    fn retention_runs_however_often_checkpoints_are_called_for() {
        const PATIENCE: Duration = Duration::from_secs(20);
        let folder = tempfile::TempDir::new().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options = Options {
            clock: Clock::fixed(noon()),
            partitions: 1,
            ..Options::new(folder.path())
        };
        let embedded = open(options.clone()).unwrap();
        let low = || runtime.block_on(embedded.watermarks("topic")).unwrap()[0].low;
        let append = embedded.append("topic", vec![record("k", "v")], Durability::Redoable);
        runtime.block_on(append).unwrap();

        let later = Options {
            clock: Clock::fixed(noon().plus(options.retention * 2)),
            ..options
        };
        let (file, writer) = (folder.path().join(FILE_NAME), embedded.inner.writer.clone());
        // Calls come far more often than retention is due.
        let (sender, calls) = sync_channel(0);
        let thread = std::thread::spawn(move || {
            maintain(
                &file,
                &calls,
                &Wal::default(),
                &writer,
                &later,
                Duration::from_millis(20),
            );
        });
        let deadline = Instant::now() + PATIENCE;
        while low() == 0 {
            assert!(Instant::now() < deadline, "nothing was removed");
            sender.send(Call::Checkpoint).unwrap();
        }
        sender.send(Call::Stop).unwrap();
        thread.join().unwrap();
    }
}
