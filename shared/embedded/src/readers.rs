//! Connections that read, lent to threads that may block.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use threatstream_backend::BackendError;

use crate::fault::{Fault, unavailable};
use crate::schema::read_connection;

/// As many reads run at once; more wait their turn.
const AT_ONCE: usize = 4;

/// A few read-only connections, opened when first needed.
pub(crate) struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
}

impl Readers {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self {
            file,
            idle: Mutex::new(Vec::new()),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Runs a read in one transaction: everything in it sees the same moment.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, work: F) -> Result<T, BackendError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let _turn = self
            .turns
            .acquire()
            .await
            .map_err(|_| unavailable("the database is closed"))?;
        let readers = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || readers.blocking(work));
        match read.await {
            Ok(result) => result.map_err(Into::into),
            Err(error) => Err(unavailable(format!("a read did not end: {error}"))),
        }
    }

    fn blocking<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let lent = self.idle.lock().pop();
        let mut connection = match lent {
            Some(connection) => connection,
            None => read_connection(&self.file)?,
        };
        let transaction = connection.transaction()?;
        let result = work(&transaction);
        // A read has nothing to commit; ending it is all.
        drop(transaction);
        if result.is_ok() {
            self.idle.lock().push(connection);
        }
        result
    }

    /// Lends no more, and closes what is idle.
    pub(crate) fn close(&self) {
        self.turns.close();
        self.idle.lock().clear();
    }
}
