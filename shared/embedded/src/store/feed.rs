//! The feed: numbered records of frames.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use threatstream_backend::{BackendError, Feed, FeedCursor, FeedReader, FeedRecord, FeedStart};
use threatstream_domain::{Frame, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::embedded::Embedded;
use crate::fault::{Fault, int, rejected, unavailable};
use crate::readers::Readers;
use crate::writer::Session;

/// Frames longer than this as JSON are kept compressed; the first byte tells: `[` begins JSON.
const MIN_COMPRESSED: usize = 512;

/// Frames as the feed keeps them; empty for none.
pub(crate) fn pack(frames: &[Frame]) -> Result<Vec<u8>, Fault> {
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    let json = serde_json::to_vec(frames)?;
    if json.len() < MIN_COMPRESSED {
        return Ok(json);
    }
    let mut packed = vec![0];
    packed.extend_from_slice(&lz4_flex::compress_prepend_size(&json));
    Ok(packed)
}

fn unpack(packed: &[u8]) -> Result<Vec<Frame>, Fault> {
    if let [0, packed @ ..] = packed {
        let json =
            lz4_flex::decompress_size_prepended(packed).map_err(|_| rejected("a record of the feed is damaged"))?;
        return Ok(serde_json::from_slice(&json)?);
    }
    Ok(serde_json::from_slice(packed)?)
}

/// Appends packed frames to the feed.
pub(crate) fn tell(session: &mut Session<'_>, packed: &[u8], now: Timestamp) -> Result<(), Fault> {
    if packed.is_empty() {
        return Ok(());
    }
    let seq = *session.feed_next;
    *session.feed_next += 1;
    session
        .db
        .prepare_cached("INSERT INTO feed (seq, committed_at, frames) VALUES (?1, ?2, ?3)")?
        .execute(params![seq, now.as_micros(), packed])?;
    session.touched.feed = true;
    session.touched.store = true;
    Ok(())
}

/// Removes records that are too old or too many; true when there may be more. The newest stays: it says where the feed is.
pub(crate) fn trim(session: &mut Session<'_>, before: Timestamp, keep: u64, at_once: i64) -> Result<bool, Fault> {
    let db = session.db;
    let by_count: Option<i64> = db
        .prepare_cached("SELECT seq FROM feed ORDER BY seq DESC LIMIT 1 OFFSET ?1")?
        .query_row([int(keep.max(1))], |row| row.get(0))
        .optional()?;
    let last: Option<i64> = db
        .prepare_cached(
            "SELECT max(seq) FROM (SELECT seq, committed_at FROM feed
               WHERE seq < (SELECT max(seq) FROM feed) ORDER BY seq LIMIT ?3)
             WHERE committed_at < ?1 OR seq <= ?2",
        )?
        .query_row(params![before.as_micros(), by_count.unwrap_or(-1), at_once], |row| {
            row.get(0)
        })?;
    let Some(last) = last else { return Ok(false) };
    let removed = db.prepare_cached("DELETE FROM feed WHERE seq <= ?1")?.execute([last])?;
    db.prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'feed_floor'")?
        .execute([last])?;
    Ok(int(removed as u64) >= at_once)
}

/// Twenty digits compare as text like the numbers do.
fn cursor(seq: i64) -> FeedCursor {
    FeedCursor(format!("{seq:020}"))
}

fn parse(cursor: &FeedCursor) -> Option<i64> {
    let digits = cursor.0.len() == 20 && cursor.0.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| cursor.0.parse().ok()).flatten()
}

/// Nothing is missing after a place that is still there, or after which the feed begins.
fn is_known(db: &Connection, seq: i64) -> Result<bool, Fault> {
    let known = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM feed WHERE seq = ?1)
               OR EXISTS (SELECT 1 FROM meta WHERE name = 'feed_floor' AND value = ?1)",
        )?
        .query_row([seq], |row| row.get(0))?;
    Ok(known)
}

#[async_trait]
impl Feed for Embedded {
    async fn epoch(&self) -> Result<String, BackendError> {
        Ok(self.inner.epoch.clone())
    }

    async fn head(&self) -> Result<FeedCursor, BackendError> {
        self.inner
            .readers
            .read(|db| {
                let head = db
                    .prepare_cached("SELECT coalesce(max(seq), 0) FROM feed")?
                    .query_row([], |row| row.get(0))?;
                Ok(cursor(head))
            })
            .await
    }

    async fn follow(&self, after: &FeedCursor) -> Result<FeedStart, BackendError> {
        let Some(seq) = parse(after) else {
            return Ok(FeedStart::Gone);
        };
        let grown = self.inner.signals.feed.subscribe();
        if !self.inner.readers.read(move |db| is_known(db, seq)).await? {
            return Ok(FeedStart::Gone);
        }
        Ok(FeedStart::Reader(Box::new(Reader {
            readers: Arc::clone(&self.inner.readers),
            grown,
            after: seq,
        })))
    }
}

struct Reader {
    readers: Arc<Readers>,
    grown: watch::Receiver<u64>,
    after: i64,
}

#[async_trait]
impl FeedReader for Reader {
    async fn next(&mut self, limit: usize, wait: Duration) -> Result<Vec<FeedRecord>, BackendError> {
        let deadline = Instant::now() + wait;
        let limit = int(limit.max(1) as u64);
        loop {
            self.grown.borrow_and_update();
            let after = self.after;
            let rows = self.readers.read(move |db| records(db, after, limit)).await?;
            if let Some((seq, _)) = rows.last() {
                self.after = *seq;
                return Ok(rows.into_iter().map(|(_, record)| record).collect());
            }
            match tokio::time::timeout_at(deadline, self.grown.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(unavailable("the database is closed")),
                Err(_) => return Ok(Vec::new()),
            }
        }
    }
}

fn records(db: &Connection, after: i64, limit: i64) -> Result<Vec<(i64, FeedRecord)>, Fault> {
    let mut query =
        db.prepare_cached("SELECT seq, committed_at, frames FROM feed WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let mut rows = query.query([after, limit])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        records.push((
            seq,
            FeedRecord {
                cursor: cursor(seq),
                committed_at: Timestamp::from_micros(row.get(1)?),
                frames: unpack(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?,
            },
        ));
    }
    // A reader that fell behind retention must learn that something is missing, rather than read on beyond it.
    if !records.is_empty() && !is_known(db, after)? {
        return Err(rejected("the feed no longer has what comes next").into());
    }
    Ok(records)
}
