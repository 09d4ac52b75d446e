//! Which records go, and when. Records of a topic that is analysed stay until every checkpoint is past them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use threatstream_domain::Timestamp;

use super::slot::{Slot, last_offset};
use crate::fault::{Fault, int, uint};
use crate::writer::{Guarded, Heads, Session};

/// A job removes at most this many blocks, so that appends need not wait for long.
const AT_ONCE: usize = 256;

struct Oldest {
    id: i64,
    last_time: i64,
    bytes: u64,
}

/// Removes blocks whose records are all older than `before`; true when there may be more of them.
pub(crate) fn by_age(session: &mut Session<'_>, before: Timestamp) -> Result<bool, Fault> {
    let guards = guards(session.db, session.heads.guarded())?;
    let slots: Vec<Slot> = session.heads.slots().map(|(slot, _)| slot).collect();
    let mut removed = 0;
    for slot in slots {
        while let Some(block) = oldest(session.db, slot, &guards)? {
            if block.last_time >= before.as_micros() {
                break;
            }
            if removed == AT_ONCE {
                return Ok(true);
            }
            remove(session.db, session.heads, slot, &block)?;
            removed += 1;
        }
    }
    Ok(false)
}

/// Removes the oldest blocks until the log takes at most `target` bytes, or nothing more may go; true when there may be more.
pub(crate) fn by_size(session: &mut Session<'_>, target: u64) -> Result<bool, Fault> {
    for _ in 0..AT_ONCE {
        if session.heads.total_bytes() <= target || !remove_oldest(session.db, session.heads)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes room for an append at the cap, as far as it goes; false when nothing more may go.
pub(crate) fn make_room(db: &Connection, heads: &mut Heads, bytes: u64, max_bytes: u64) -> Result<bool, Fault> {
    while heads.total_bytes().saturating_add(bytes) > max_bytes {
        if !remove_oldest(db, heads)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn remove_oldest(db: &Connection, heads: &mut Heads) -> Result<bool, Fault> {
    let guards = guards(db, heads.guarded())?;
    let mut candidate: Option<(Slot, Oldest)> = None;
    for (slot, head) in heads.slots() {
        if head.bytes == 0 {
            continue;
        }
        if let Some(block) = oldest(db, slot, &guards)?
            && candidate
                .as_ref()
                .is_none_or(|(_, other)| block.last_time < other.last_time)
        {
            candidate = Some((slot, block));
        }
    }
    let Some((slot, block)) = candidate else {
        return Ok(false);
    };
    remove(db, heads, slot, &block)?;
    Ok(true)
}

/// The topics' checkpoints: a block may go when it ends before its partition's. Partitions never leased guard everything.
fn guards(db: &Connection, guarded: &[Guarded]) -> Result<HashMap<i64, HashMap<u32, u64>>, Fault> {
    let mut guards = HashMap::new();
    for Guarded { topic, name } in guarded {
        let mut query = db.prepare_cached("SELECT partition, next_offset FROM lease WHERE topic = ?1")?;
        let checkpoints = query
            .query_map([name], |row| Ok((row.get(0)?, uint(row.get(1)?))))?
            .collect::<Result<HashMap<u32, u64>, _>>()?;
        guards.insert(*topic, checkpoints);
    }
    Ok(guards)
}

/// The oldest block of a partition, if it may go.
fn oldest(db: &Connection, slot: Slot, guards: &HashMap<i64, HashMap<u32, u64>>) -> Result<Option<Oldest>, Fault> {
    let ids = slot.ids();
    let block = db
        .prepare_cached("SELECT id, last_time, bytes FROM block WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1")?
        .query_row(params![ids.start(), ids.end()], |row| {
            Ok(Oldest {
                id: row.get(0)?,
                last_time: row.get(1)?,
                bytes: uint(row.get(2)?),
            })
        })
        .optional()?;
    let may_go = |block: &Oldest| match guards.get(&slot.topic()) {
        None => true,
        Some(checkpoints) => {
            let checkpoint = checkpoints.get(&slot.partition()).copied().unwrap_or(0);
            last_offset(block.id) < checkpoint
        }
    };
    Ok(block.filter(may_go))
}

fn remove(db: &Connection, heads: &mut Heads, slot: Slot, block: &Oldest) -> Result<(), Fault> {
    db.prepare_cached("DELETE FROM block WHERE id = ?1")?
        .execute([block.id])?;
    let low = last_offset(block.id) + 1;
    db.prepare_cached("UPDATE log_partition SET low = ?2, bytes = max(bytes - ?3, 0) WHERE slot = ?1")?
        .execute(params![slot.0, int(low), int(block.bytes)])?;
    heads.trimmed(slot, low, block.bytes);
    Ok(())
}
