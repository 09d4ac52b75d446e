//! One transaction for everything that waits.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::mpsc;

use threatstream_backend::BackendError;
use threatstream_domain::Clock;

use super::appends::{Answered, Append, Heads};
use super::{Done, Finish, Job, Promise, Session, Signals, Start, Touched, Work};
use crate::fault::{again, from_sqlite, unavailable};
use crate::log::tail::Tail;
use crate::maintenance::{Call, Wal};

/// A transaction takes at most this many jobs,
const MAX_JOBS: usize = 512;
/// and stops taking appends at about this many bytes.
const MAX_BYTES: usize = 4 << 20;
/// What a job adds to the WAL besides an append's bytes, roughly.
const JOB_WAL_BYTES: usize = 8 << 10;
/// After about this many bytes the WAL is worth a checkpoint.
const CHECKPOINT_BYTES: usize = 4 << 20;

/// The thread's own.
pub(crate) struct Writer {
    full: Connection,
    normal: Connection,
    jobs: mpsc::Receiver<Job>,
    clock: Clock,
    tail: Arc<Tail>,
    signals: Arc<Signals>,
    feed_next: i64,
    heads: Heads,
    wal_grew: std::sync::mpsc::SyncSender<Call>,
    wal: Arc<Wal>,
    since_checkpoint: usize,
}

#[derive(Default)]
struct Group {
    works: Vec<Box<dyn Work>>,
    appends: Vec<Append>,
    durable: bool,
    bytes: usize,
    stop: bool,
}

impl Group {
    fn add(&mut self, job: Job) {
        let promise = match job {
            Job::Work { promise, work } => {
                self.works.push(work);
                promise
            }
            Job::Append(append) => {
                let promise = append.promise;
                self.bytes += append.bytes();
                self.appends.push(append);
                promise
            }
            Job::Stop => {
                self.stop = true;
                return;
            }
        };
        self.bytes += JOB_WAL_BYTES;
        self.durable |= promise == Promise::Durable;
    }

    fn is_full(&self) -> bool {
        self.stop || self.works.len() + self.appends.len() >= MAX_JOBS || self.bytes >= MAX_BYTES
    }
}

impl Writer {
    pub(crate) fn new(
        [full, normal]: [Connection; 2],
        jobs: mpsc::Receiver<Job>,
        start: Start,
    ) -> rusqlite::Result<Self> {
        let heads = Heads::load(&full, start.max_log_bytes, start.guarded)?;
        Ok(Self {
            full,
            normal,
            jobs,
            clock: start.clock,
            tail: start.tail,
            signals: start.signals,
            feed_next: start.feed_next,
            heads,
            wal_grew: start.wal_grew,
            wal: start.wal,
            since_checkpoint: 0,
        })
    }

    /// Works until told to stop, or until nobody can reach it any more.
    pub(crate) fn work(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            let mut group = Group::default();
            group.add(first);
            while !group.is_full() {
                let Ok(job) = self.jobs.try_recv() else { break };
                group.add(job);
            }
            let stop = group.stop;
            if !group.works.is_empty() || !group.appends.is_empty() {
                self.group(group);
            }
            if stop {
                break;
            }
        }
        self.jobs.close();
        if let Err(error) = self.full.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log was not cleared; the next start does it");
        }
    }

    fn group(&mut self, group: Group) {
        self.since_checkpoint += group.bytes;
        let mut finishes = Vec::with_capacity(group.works.len());
        let mut answers = Vec::with_capacity(group.appends.len());
        let committed = self.transact(group, &mut finishes, &mut answers);
        match &committed {
            Ok(touched) => {
                // Before the answers: who has one finds what it wrote.
                self.heads.publish(&self.tail);
                self.tell(*touched);
            }
            Err(error) => {
                tracing::error!(%error, "a transaction failed");
                if let Err(error) = self.heads.reload(&self.full) {
                    tracing::error!(%error, "the ends of the log could not be read again");
                }
            }
        }
        for finish in finishes {
            finish(committed.as_ref().map(|_| ()).map_err(again));
        }
        for (answered, append) in answers {
            append.answer(match &committed {
                Ok(_) => answered,
                Err(error) => answered.and(Err(again(error))),
            });
        }
        self.care_for_wal();
    }

    fn transact(
        &mut self,
        group: Group,
        finishes: &mut Vec<Finish>,
        answers: &mut Vec<(Answered, Append)>,
    ) -> Result<Touched, BackendError> {
        let db = if group.durable { &self.full } else { &self.normal };
        let mut touched = Touched::default();
        let begun = db
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]));
        let mut failed = begun.err().map(|error| from_sqlite(&error));
        for work in group.works {
            if let Some(error) = &failed {
                work.refuse(again(error));
                continue;
            }
            let mut session = Session {
                db,
                touched: Touched::default(),
                feed_next: &mut self.feed_next,
                heads: &mut self.heads,
            };
            match one(work, &mut session) {
                Ok(finish) => {
                    touched.store |= session.touched.store;
                    touched.feed |= session.touched.feed;
                    touched.tasks |= session.touched.tasks;
                    finishes.push(finish);
                }
                Err((finish, error)) => {
                    finishes.extend(finish);
                    failed = Some(error);
                }
            }
        }
        let now = self.clock.now();
        for mut append in group.appends {
            let answered = match &failed {
                None => match self.heads.admit(db, &append) {
                    Ok(None) => self.heads.stage(db, &mut append, now).map_err(BackendError::from),
                    Ok(Some(refused)) => {
                        // The cap refuses this one alone; a smaller one may still fit.
                        answers.push((Err(refused), append));
                        continue;
                    }
                    Err(fault) => Err(fault.into()),
                },
                Some(error) => Err(again(error)),
            };
            if let Err(error) = &answered {
                failed.get_or_insert_with(|| again(error));
            }
            answers.push((answered, append));
        }
        if failed.is_none() {
            failed = self.heads.flush(db).err().map(BackendError::from);
        }
        if failed.is_none() {
            let commit = db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
            failed = commit.err().map(|error| from_sqlite(&error));
        }
        match failed {
            None => Ok(touched),
            Some(error) => {
                if !db.is_autocommit()
                    && let Err(error) = db.execute_batch("ROLLBACK")
                {
                    tracing::error!(%error, "a transaction could not be rolled back");
                }
                Err(error)
            }
        }
    }

    fn tell(&self, touched: Touched) {
        let bump = |number: &mut u64| *number += 1;
        if touched.store {
            self.signals.store.send_modify(bump);
        }
        if touched.feed {
            self.signals.feed.send_modify(bump);
        }
        if touched.tasks {
            self.signals.tasks.send_modify(bump);
        }
    }

    /// Another thread copies the WAL into the file. Only to begin the WAL anew may nobody write: that is done here, when it has
    /// grown long and most of it is copied.
    fn care_for_wal(&mut self) {
        if self.since_checkpoint >= CHECKPOINT_BYTES {
            self.since_checkpoint = 0;
            // A full channel means that it is at work already.
            let _ = self.wal_grew.try_send(Call::Checkpoint);
        }
        if self.wal.take_restart() {
            self.wal.restart(&self.normal);
        }
    }
}

/// Does work in a savepoint. `Err`: the whole transaction is lost.
fn one(work: Box<dyn Work>, session: &mut Session<'_>) -> Result<Finish, (Option<Finish>, BackendError)> {
    let db = session.db;
    let step = |sql: &str| db.prepare_cached(sql).and_then(|mut step| step.execute([])).map(|_| ());
    if let Err(error) = step("SAVEPOINT job") {
        let error = from_sqlite(&error);
        work.refuse(again(&error));
        return Err((None, error));
    }
    let Done { stays, cause, finish } = work.run(session);
    if db.is_autocommit() {
        // SQLite takes everything back by itself when the disk is full or fails. The others can try again.
        let cause = cause.filter(BackendError::is_retryable);
        let error = cause.unwrap_or_else(|| unavailable("the transaction was rolled back by the database"));
        return Err((Some(finish), error));
    }
    let ended = if stays {
        step("RELEASE job")
    } else {
        session.touched = Touched::default();
        session.heads.mark_stale();
        step("ROLLBACK TO job").and_then(|()| step("RELEASE job"))
    };
    match ended.and_then(|()| session.heads.refresh(db)) {
        Ok(()) => Ok(finish),
        Err(error) => Err((Some(finish), from_sqlite(&error))),
    }
}
