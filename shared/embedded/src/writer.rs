//! The one thread that writes: takes what is queued, runs it as one transaction, answers after the commit.

mod appends;
mod group;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use threatstream_backend::BackendError;
use threatstream_domain::Clock;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use appends::{Append, Guarded, Head, Heads};
pub(crate) use group::Writer;

use crate::fault::{Fault, again, from_sqlite, unavailable};
use crate::log::tail::Tail;
use crate::schema::{Synchronous, write_connection};

/// Jobs that may wait; who comes next waits to be let in.
const QUEUE: usize = 4096;

/// What the writer tells of after a commit.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Something of the store was committed.
    pub(crate) store: watch::Sender<u64>,
    /// The feed grew.
    pub(crate) feed: watch::Sender<u64>,
    /// A task was queued, or is to come again.
    pub(crate) tasks: watch::Sender<u64>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            store: watch::Sender::new(0),
            feed: watch::Sender::new(0),
            tasks: watch::Sender::new(0),
        }
    }
}

impl Signals {
    /// Wakes everybody.
    pub(crate) fn all(&self) {
        for signal in [&self.store, &self.feed, &self.tasks] {
            signal.send_modify(|number| *number += 1);
        }
    }
}

/// What a job changed, and so who is told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Touched {
    pub(crate) store: bool,
    pub(crate) feed: bool,
    pub(crate) tasks: bool,
}

/// What a job works with, inside the transaction and in a savepoint of its own.
pub(crate) struct Session<'a> {
    /// The connection that writes.
    pub(crate) db: &'a Connection,
    /// What the job changed.
    pub(crate) touched: Touched,
    /// The number of the feed's next record. Numbers of jobs that failed stay unused.
    pub(crate) feed_next: &'a mut i64,
    /// Where the log's partitions end.
    pub(crate) heads: &'a mut Heads,
}

/// How much a job's commit is worth to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Somebody outside relies on it: on the disk before the answer.
    Durable,
    /// It can be done again.
    Redoable,
}

/// Ends a job: sends the answer, which is the error of the commit if that failed.
type Finish = Box<dyn FnOnce(Result<(), BackendError>) + Send>;

/// Work in a transaction, and who waits for it.
pub(crate) trait Work: Send {
    /// Does it.
    fn run(self: Box<Self>, session: &mut Session<'_>) -> Done;

    /// Tells its caller why it was not done.
    fn refuse(self: Box<Self>, error: BackendError);
}

/// Work that was done, and not yet committed.
pub(crate) struct Done {
    /// Whether what it wrote is to stay.
    stays: bool,
    /// What the database said if it failed by that.
    cause: Option<BackendError>,
    finish: Finish,
}

/// Why work failed.
pub(crate) trait Failure: From<BackendError> + Send + 'static {
    /// The error of the database, if it was that.
    fn cause(&self) -> Option<BackendError>;
}

impl Failure for BackendError {
    fn cause(&self) -> Option<BackendError> {
        Some(again(self))
    }
}

impl Failure for Fault {
    fn cause(&self) -> Option<BackendError> {
        Some(match self {
            Self::Sqlite(error) => from_sqlite(error),
            Self::Backend(error) => again(error),
        })
    }
}

pub(crate) enum Job {
    Work {
        promise: Promise,
        work: Box<dyn Work>,
    },
    Append(Append),
    /// Ends the thread once everything before it is done.
    Stop,
}

/// How others reach the writer.
#[derive(Clone)]
pub(crate) struct Handle {
    jobs: mpsc::Sender<Job>,
}

impl Handle {
    /// A job, run in the next transaction. What it wrote stays only if it returns `Ok`.
    pub(crate) async fn run<T, E, F>(&self, promise: Promise, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: Failure,
        F: FnOnce(&mut Session<'_>) -> Result<T, E> + Send + 'static,
    {
        let (job, answer) = job(promise, work);
        self.send(job).await?;
        answer.await.unwrap_or_else(|_| Err(gone().into()))
    }

    /// The same for a thread that may block.
    pub(crate) fn run_blocking<T, F>(&self, promise: Promise, work: F) -> Result<T, BackendError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Session<'_>) -> Result<T, BackendError> + Send + 'static,
    {
        let (job, answer) = job(promise, work);
        self.jobs.blocking_send(job).map_err(|_| gone())?;
        answer.blocking_recv().unwrap_or_else(|_| Err(gone()))
    }

    pub(crate) async fn send(&self, job: Job) -> Result<(), BackendError> {
        self.jobs.send(job).await.map_err(|_| gone())
    }

    /// Asks the writer to end; false when its queue is full just now.
    pub(crate) fn try_stop(&self) -> bool {
        !matches!(self.jobs.try_send(Job::Stop), Err(mpsc::error::TrySendError::Full(_)))
    }
}

fn job<T, E, F>(promise: Promise, work: F) -> (Job, oneshot::Receiver<Result<T, E>>)
where
    T: Send + 'static,
    E: Failure,
    F: FnOnce(&mut Session<'_>) -> Result<T, E> + Send + 'static,
{
    let (answer, receiver) = oneshot::channel();
    let work = Box::new(Asked { work, answer });
    (Job::Work { promise, work }, receiver)
}

/// A closure, and where its result goes.
struct Asked<F, T, E> {
    work: F,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Work for Asked<F, T, E>
where
    T: Send + 'static,
    E: Failure,
    F: FnOnce(&mut Session<'_>) -> Result<T, E> + Send,
{
    fn run(self: Box<Self>, session: &mut Session<'_>) -> Done {
        let Self { work, answer } = *self;
        // Work that panics takes back what it wrote, like work that fails, and leaves the thread to the others.
        let result = catch_unwind(AssertUnwindSafe(|| work(session)))
            .unwrap_or_else(|_| Err(unavailable("a write ended in a panic, and nothing of it stays").into()));
        Done {
            stays: result.is_ok(),
            cause: result.as_ref().err().and_then(E::cause),
            finish: Box::new(move |committed| {
                // Who no longer waits needs no answer.
                drop(answer.send(match committed {
                    Ok(()) => result,
                    Err(error) => Err(error.into()),
                }));
            }),
        }
    }

    fn refuse(self: Box<Self>, error: BackendError) {
        drop(self.answer.send(Err(error.into())));
    }
}

fn gone() -> BackendError {
    unavailable("the database is closed")
}

/// What the thread starts with.
pub(crate) struct Start {
    pub(crate) clock: Clock,
    pub(crate) tail: Arc<Tail>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) feed_next: i64,
    pub(crate) max_log_bytes: u64,
    /// Topics of which nothing goes before a checkpoint is past it.
    pub(crate) guarded: Vec<Guarded>,
    /// Told when the WAL has grown enough to be checkpointed.
    pub(crate) wal_grew: std::sync::mpsc::SyncSender<crate::maintenance::Call>,
    pub(crate) wal: Arc<crate::maintenance::Wal>,
}

/// The two connections: promised work commits on the first, the rest on the second.
pub(crate) fn connections(file: &Path) -> rusqlite::Result<[Connection; 2]> {
    Ok([
        write_connection(file, Synchronous::Full)?,
        write_connection(file, Synchronous::Normal)?,
    ])
}

/// The way to the writer, and the end that the writer takes from.
pub(crate) fn queue() -> (Handle, mpsc::Receiver<Job>) {
    let (jobs, receiver) = mpsc::channel(QUEUE);
    (Handle { jobs }, receiver)
}
