//! The task queue.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use threatstream_backend::{BackendError, DeadTask, Delivery, Failed, QueueDepth, Task, TaskQueue};
use threatstream_domain::{Timestamp, truncated};
use tokio::time::Instant;

use crate::embedded::Embedded;
use crate::fault::{Fault, int, rejected, uint, unavailable};
use crate::writer::{Promise, Session};

const WAITING: i64 = 0;
const IN_FLIGHT: i64 = 1;
const DONE: i64 = 2;
const DEAD: i64 = 3;

/// How long the id of a finished task is remembered.
const REMEMBERED: Duration = Duration::from_secs(86_400);
/// An error is kept up to this many bytes.
const MAX_ERROR: usize = 4096;

#[async_trait]
impl TaskQueue for Embedded {
    async fn enqueue(&self, tasks: Vec<Task>, now: Timestamp) -> Result<(), BackendError> {
        if tasks.is_empty() {
            return Ok(());
        }
        self.inner
            .writer
            .run(Promise::Durable, move |session| enqueue(session, &tasks, now))
            .await
            .map_err(|fault: Fault| fault.into())
    }

    async fn take(
        &self,
        queue: &str,
        max: usize,
        lease: Duration,
        now: Timestamp,
        wait: Duration,
    ) -> Result<Vec<Delivery>, BackendError> {
        let started = Instant::now();
        let deadline = started + wait;
        let mut queued = self.inner.signals.tasks.subscribe();
        let called = now;
        let mut now = now;
        loop {
            queued.borrow_and_update();
            let name = queue.to_owned();
            let due = self.inner.readers.read(move |db| earliest(db, &name)).await?;
            if due.is_some_and(|due| due <= now) {
                let (name, retry) = (queue.to_owned(), self.inner.options.retry);
                let taken = self
                    .inner
                    .writer
                    .run::<_, Fault, _>(Promise::Redoable, move |session| {
                        take(session, &name, max.max(1), now.plus(lease), now, retry.max_attempts)
                    })
                    .await?;
                if !taken.is_empty() {
                    return Ok(taken);
                }
                // Another was faster, or only tasks whose attempts are used up were due: look again.
                if Instant::now() < deadline {
                    continue;
                }
                return Ok(Vec::new());
            }
            let wake = due.map_or(deadline, |due| deadline.min(Instant::now() + due.since(now)));
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
            match tokio::time::timeout_at(wake, queued.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_)) => return Err(unavailable("the database is closed")),
            }
            // The caller's time, moved on by what was waited here.
            now = called.plus(started.elapsed());
        }
    }

    async fn complete(&self, delivery: &Delivery, now: Timestamp) -> Result<(), BackendError> {
        let (queue, id) = (delivery.task.queue.clone(), delivery.task.id.clone());
        self.inner
            .writer
            .run::<_, Fault, _>(Promise::Redoable, move |session| {
                // Whichever attempt did the work, it is done.
                session
                    .db
                    .prepare_cached(
                        "UPDATE task SET state = ?3, finished_at = ?4, payload = 'null', error = NULL
                         WHERE queue = ?1 AND id = ?2 AND state < ?3",
                    )?
                    .execute(params![queue, id, DONE, now.as_micros()])?;
                Ok(())
            })
            .await
            .map_err(Into::into)
    }

    async fn fail(&self, delivery: &Delivery, error: &str, now: Timestamp) -> Result<Failed, BackendError> {
        let (delivery, error) = (delivery.clone(), truncated(error, MAX_ERROR).to_owned());
        let retry = self.inner.options.retry;
        self.inner
            .writer
            .run(Promise::Redoable, move |session| {
                fail(session, &delivery, &error, retry.backoff(delivery.attempt), now)
            })
            .await
            .map_err(|fault: Fault| fault.into())
    }

    async fn bury(&self, task: Task, attempts: u32, error: &str, now: Timestamp) -> Result<(), BackendError> {
        let error = truncated(error, MAX_ERROR).to_owned();
        self.inner
            .writer
            .run(Promise::Durable, move |session| {
                bury(session, &task, attempts, &error, now)
            })
            .await
            .map_err(|fault: Fault| fault.into())
    }

    async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadTask>, BackendError> {
        let queue = queue.to_owned();
        self.inner.readers.read(move |db| dead_letters(db, &queue, limit)).await
    }

    async fn depth(&self, queue: &str) -> Result<QueueDepth, BackendError> {
        let queue = queue.to_owned();
        self.inner
            .readers
            .read(move |db| {
                let count = |state: i64| {
                    db.prepare_cached("SELECT count(*) FROM task WHERE queue = ?1 AND state = ?2")?
                        .query_row(params![queue, state], |row| row.get(0).map(uint))
                };
                Ok(QueueDepth {
                    waiting: Some(count(WAITING)?),
                    in_flight: Some(count(IN_FLIGHT)?),
                    dead: Some(count(DEAD)?),
                })
            })
            .await
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.reach().await
    }
}

fn enqueue(session: &mut Session<'_>, tasks: &[Task], now: Timestamp) -> Result<(), Fault> {
    // A finished task whose id is no longer remembered makes room for the new one.
    let mut forget = session
        .db
        .prepare_cached("DELETE FROM task WHERE queue = ?1 AND id = ?2 AND state >= ?3 AND finished_at <= ?4")?;
    let mut insert = session.db.prepare_cached(
        "INSERT INTO task (queue, id, payload, state, attempt, due_at) VALUES (?1, ?2, ?3, ?4, 0, ?5)
         ON CONFLICT (queue, id) DO NOTHING",
    )?;
    for task in tasks {
        forget.execute(params![task.queue, task.id, DONE, now.minus(REMEMBERED).as_micros()])?;
        let payload = serde_json::to_string(&task.payload)?;
        let written = insert.execute(params![task.queue, task.id, payload, WAITING, now.as_micros()])?;
        session.touched.tasks |= written > 0;
    }
    Ok(())
}

/// What a delivery is known by. The row's number and the attempt are not enough: a task that is queued again a day after it was
/// done may be given the number that it had.
fn receipt(seq: i64, attempt: u32, until: i64) -> String {
    format!("{seq}.{attempt}.{until}")
}

fn earliest(db: &Connection, queue: &str) -> Result<Option<Timestamp>, Fault> {
    let due: Option<i64> = db
        .prepare_cached("SELECT due_at FROM task WHERE queue = ?1 AND state < 2 ORDER BY due_at LIMIT 1")?
        .query_row([queue], |row| row.get(0))
        .optional()?;
    Ok(due.map(Timestamp::from_micros))
}

fn take(
    session: &mut Session<'_>,
    queue: &str,
    max: usize,
    until: Timestamp,
    now: Timestamp,
    max_attempts: u32,
) -> Result<Vec<Delivery>, Fault> {
    let db = session.db;
    // A task that takes its process with it never fails, it only runs out of time: that counts as an attempt, too.
    db.prepare_cached(
        "UPDATE task SET state = ?4, finished_at = ?2, error = 'the last attempt did not end in its time'
         WHERE queue = ?1 AND state < 2 AND state = ?5 AND due_at <= ?2 AND attempt >= ?3",
    )?
    .execute(params![queue, now.as_micros(), max_attempts.max(1), DEAD, IN_FLIGHT])?;
    let mut due = db.prepare_cached(
        "SELECT seq, id, payload, attempt FROM task WHERE queue = ?1 AND state < 2 AND due_at <= ?2
         ORDER BY due_at LIMIT ?3",
    )?;
    let mut rows = due.query(params![queue, now.as_micros(), int(max as u64)])?;
    let mut taken = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, attempt): (i64, u32) = (row.get(0)?, row.get(3)?);
        let attempt = attempt + 1;
        let payload: String = row.get(2)?;
        let delivery = Delivery {
            task: Task {
                queue: queue.to_owned(),
                id: row.get(1)?,
                payload: serde_json::from_str(&payload)?,
            },
            attempt,
            receipt: receipt(seq, attempt, until.as_micros()),
        };
        taken.push((seq, delivery));
    }
    let mut lend = db.prepare_cached("UPDATE task SET state = ?2, attempt = ?3, due_at = ?4 WHERE seq = ?1")?;
    for (seq, delivery) in &taken {
        lend.execute(params![seq, IN_FLIGHT, delivery.attempt, until.as_micros()])?;
    }
    Ok(taken.into_iter().map(|(_, delivery)| delivery).collect())
}

fn fail(
    session: &mut Session<'_>,
    delivery: &Delivery,
    error: &str,
    backoff: Option<Duration>,
    now: Timestamp,
) -> Result<Failed, Fault> {
    let db = session.db;
    let stored = db
        .prepare_cached("SELECT seq, state, attempt, due_at FROM task WHERE queue = ?1 AND id = ?2")?
        .query_row([&delivery.task.queue, &delivery.task.id], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, u32>(2)?,
                row.get::<_, i64>(3)?,
            ))
        })
        .optional()?;
    let Some((seq, state, attempt, due_at)) = stored else {
        return Err(rejected("there is no such task").into());
    };
    if state == DEAD {
        return Ok(Failed::Dead);
    }
    if state != IN_FLIGHT || delivery.receipt != receipt(seq, attempt, due_at) {
        // A later attempt has it by now; what this one says no longer counts.
        return Ok(Failed::Retry(Timestamp::from_micros(due_at)));
    }
    let Some(backoff) = backoff else {
        db.prepare_cached("UPDATE task SET state = ?2, finished_at = ?3, error = ?4 WHERE seq = ?1")?
            .execute(params![seq, DEAD, now.as_micros(), error])?;
        return Ok(Failed::Dead);
    };
    let again = now.plus(backoff);
    db.prepare_cached("UPDATE task SET state = ?2, due_at = ?3, error = ?4 WHERE seq = ?1")?
        .execute(params![seq, WAITING, again.as_micros(), error])?;
    // Who waits for a task must now wait for this one at the latest.
    session.touched.tasks = true;
    Ok(Failed::Retry(again))
}

fn bury(session: &mut Session<'_>, task: &Task, attempts: u32, error: &str, now: Timestamp) -> Result<(), Fault> {
    let payload = serde_json::to_string(&task.payload)?;
    // What waits or is in flight here under this id is the same work, and ends with it.
    session
        .db
        .prepare_cached(
            "INSERT INTO task (queue, id, payload, state, attempt, due_at, finished_at, error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)
             ON CONFLICT (queue, id) DO UPDATE SET payload = excluded.payload, state = excluded.state,
               attempt = excluded.attempt, finished_at = excluded.finished_at, error = excluded.error
             WHERE state < ?8",
        )?
        .execute(params![
            task.queue,
            task.id,
            payload,
            DEAD,
            attempts,
            now.as_micros(),
            error,
            DONE
        ])?;
    Ok(())
}

fn dead_letters(db: &Connection, queue: &str, limit: usize) -> Result<Vec<DeadTask>, Fault> {
    let mut query = db.prepare_cached(
        "SELECT id, payload, attempt, error, finished_at FROM task WHERE queue = ?1 AND state = ?2
         AND state >= 2 ORDER BY finished_at DESC, seq DESC LIMIT ?3",
    )?;
    let mut rows = query.query(params![queue, DEAD, int(limit as u64)])?;
    let mut dead = Vec::new();
    while let Some(row) = rows.next()? {
        let payload: String = row.get(1)?;
        dead.push(DeadTask {
            task: Task {
                queue: queue.to_owned(),
                id: row.get(0)?,
                payload: serde_json::from_str(&payload)?,
            },
            attempts: row.get(2)?,
            error: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
            died_at: Timestamp::from_micros(row.get(4)?),
        });
    }
    Ok(dead)
}

/// Removes finished tasks that need not be remembered, and dead ones from before `history`.
pub(crate) fn forget(db: &Connection, now: Timestamp, history: Timestamp, at_once: i64) -> Result<usize, Fault> {
    let removed = db.execute(
        "DELETE FROM task WHERE seq IN (SELECT seq FROM task
           WHERE (state = ?1 AND finished_at < ?2) OR (state = ?3 AND finished_at < ?4) LIMIT ?5)",
        params![
            DONE,
            now.minus(REMEMBERED).as_micros(),
            DEAD,
            history.as_micros(),
            at_once
        ],
    )?;
    Ok(removed)
}
