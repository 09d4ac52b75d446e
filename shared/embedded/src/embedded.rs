//! Opening and closing the folder.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use rand::RngCore;
use rusqlite::Connection;
use threatstream_backend::{BackendError, Backends};
use tokio::sync::Semaphore;

use crate::fault::{Fault, unavailable};
use crate::log::Topic;
use crate::log::slot::{MAX_PARTITIONS, Slot};
use crate::log::tail::Tail;
use crate::maintenance::{self, Call, RETENTION_EVERY, Wal};
use crate::options::{FILE_NAME, LOCK_NAME, OpenError, Options};
use crate::readers::Readers;
use crate::schema;
use crate::writer::{self, Guarded, Handle, Head, Promise, Signals, Start, Writer};

/// Appends hold at most this many bytes of records that are not yet written.
const ROOM: u32 = 64 << 20;
/// The feed's numbers jump this far at each start. A power loss may have taken records that dashboards have seen; none of
/// their numbers is ever given to another record.
const FEED_JUMP: i64 = 1 << 20;

/// The open folder: event log, store and task queue. Clones are the same one.
#[derive(Clone)]
pub struct Embedded {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) epoch: String,
    pub(crate) topics: RwLock<HashMap<String, Topic>>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) writer: Handle,
    pub(crate) room: Semaphore,
    pub(crate) room_total: u32,
    maintenance: std::sync::mpsc::SyncSender<Call>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<File>>,
}

/// Opens a folder, and makes what is not there: takes the folder's lock, clears the leases of the process before, starts the
/// thread that writes and the one that cleans up.
///
/// # Errors
/// [`OpenError`]; a folder that another process has open is named.
pub fn open(options: Options) -> Result<Embedded, OpenError> {
    if !(1..=MAX_PARTITIONS).contains(&options.partitions) {
        return Err(OpenError::PartitionCount(options.partitions));
    }
    let lock = lock(&options.folder)?;
    let file = options.folder.join(FILE_NAME);
    let database = |error: rusqlite::Error| OpenError::Database {
        folder: options.folder.clone(),
        message: error.to_string(),
    };
    let mut connections = writer::connections(&file).map_err(database)?;
    let found = schema::prepare(&mut connections[0], &random_id()).map_err(database)?;
    if found != schema::VERSION {
        return Err(OpenError::Version {
            folder: options.folder,
            found,
            known: schema::VERSION,
        });
    }
    let topics = topics(&mut connections[0], &options)?;
    let known = known(&connections[1]).map_err(database)?;

    let tail = Arc::new(Tail::default());
    for topic in topics.values() {
        tail.know((0..topic.partitions).map(|partition| (Slot::of(topic.id, partition), Head::default())));
    }
    tail.know(known.heads);
    let signals = Arc::new(Signals::default());
    let (writer, jobs) = writer::queue();
    let (maintenance, calls) = std::sync::mpsc::sync_channel(2);
    let wal = Arc::new(Wal::default());
    let start = Start {
        clock: options.clock.clone(),
        tail: Arc::clone(&tail),
        signals: Arc::clone(&signals),
        feed_next: known.feed_head + FEED_JUMP,
        max_log_bytes: options.max_log_bytes,
        guarded: guarded(&topics, &options),
        wal_grew: maintenance.clone(),
        wal: Arc::clone(&wal),
    };
    let thread = Writer::new(connections, jobs, start).map_err(database)?;
    let folder = |source| OpenError::Folder {
        folder: options.folder.clone(),
        source,
    };
    let writing = std::thread::Builder::new()
        .name("embedded-writer".to_owned())
        .spawn(move || thread.work())
        .map_err(folder)?;
    let (handle, for_maintenance) = (writer.clone(), options.clone());
    let readers = Arc::new(Readers::new(file.clone()));
    let maintaining = std::thread::Builder::new()
        .name("embedded-maintenance".to_owned())
        .spawn(move || maintenance::maintain(&file, &calls, &wal, &handle, &for_maintenance, RETENTION_EVERY))
        .map_err(folder)?;
    Ok(Embedded {
        inner: Arc::new(Inner {
            epoch: known.epoch,
            topics: RwLock::new(topics),
            tail,
            readers,
            signals,
            writer,
            room: Semaphore::new(ROOM as usize),
            room_total: ROOM,
            maintenance,
            threads: Mutex::new(vec![maintaining, writing]),
            lock: Mutex::new(Some(lock)),
            options,
        }),
    })
}

impl Embedded {
    /// The three of them, as functions are given them.
    #[must_use]
    pub fn backends(&self) -> Backends {
        Backends {
            log: Arc::new(self.clone()),
            store: Arc::new(self.clone()),
            tasks: Arc::new(self.clone()),
            topics: self.inner.options.topics.clone(),
        }
    }

    /// Writes what is queued and closes the folder; another may open it when this returns. Whoever still has a clone gets
    /// `Unavailable` from then on. Dropping the last clone does the same, and waits for it.
    pub async fn close(self) {
        let inner = Arc::clone(&self.inner);
        if let Err(error) = tokio::task::spawn_blocking(move || inner.shut()).await {
            tracing::error!(%error, "the database was not closed in order");
        }
    }

    /// Removes what is older than the options keep, as is done every minute by itself.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn retain(&self, now: threatstream_domain::Timestamp) -> Result<(), BackendError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || maintenance::retain(&inner.writer, &inner.options, now))
            .await
            .map_err(|error| unavailable(format!("retention did not end: {error}")))?
    }

    /// A write that is on the disk when it returns, and a read of it.
    pub(crate) async fn reach(&self) -> Result<(), BackendError> {
        let now = self.inner.options.clock.now().as_micros();
        self.inner
            .writer
            .run::<_, Fault, _>(Promise::Durable, move |session| {
                session
                    .db
                    .prepare_cached(
                        "INSERT INTO meta VALUES ('checked_at', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1",
                    )?
                    .execute([now])?;
                Ok(())
            })
            .await?;
        self.inner
            .readers
            .read(|db| {
                db.prepare_cached("SELECT value FROM meta WHERE name = 'checked_at'")?
                    .query_row([], |row| row.get::<_, i64>(0))?;
                Ok(())
            })
            .await
    }
}

impl Inner {
    fn shut(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        if threads.is_empty() {
            return;
        }
        self.room.close();
        // A full channel has a checkpoint in it; the thread takes it and then this.
        let _ = self.maintenance.send(Call::Stop);
        // A full queue drains: the writer only ever takes from it.
        while !self.writer.try_stop() {
            std::thread::yield_now();
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the database had panicked");
            }
        }
        self.readers.close();
        // Who waits for more is told that none will come.
        self.tail.close();
        self.signals.all();
        // Unlocked and not only closed: a child process that is just being started holds the file open for a moment, and the lock
        // with it.
        if let Some(file) = self.lock.lock().take()
            && let Err(error) = file.unlock()
        {
            tracing::warn!(%error, "the folder's lock goes with the process");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut();
    }
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = File::create(folder.join(LOCK_NAME)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Makes the product's topics, checks the number of partitions, and clears leases: whoever held one is gone, since we hold
/// the lock.
fn topics(connection: &mut Connection, options: &Options) -> Result<HashMap<String, Topic>, OpenError> {
    let database = |error: rusqlite::Error| OpenError::Database {
        folder: options.folder.clone(),
        message: error.to_string(),
    };
    let names = &options.topics;
    let product = [
        &names.raw,
        &names.matches,
        &names.analyzed,
        &names.alerts,
        &names.metrics,
        &names.dead_letters,
    ];
    let transaction = connection.transaction().map_err(database)?;
    let mut topics = HashMap::new();
    let filled = (|| {
        for name in product {
            transaction.execute(
                "INSERT INTO topic (name, partitions) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
                rusqlite::params![name, options.partitions],
            )?;
        }
        transaction.execute(
            "UPDATE lease SET owner = NULL, lease_until = 0 WHERE owner IS NOT NULL",
            [],
        )?;
        let mut query = transaction.prepare("SELECT name, id, partitions FROM topic")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let topic = Topic {
                id: row.get(1)?,
                partitions: row.get(2)?,
            };
            topics.insert(row.get(0)?, topic);
        }
        Ok(())
    })();
    filled.map_err(database)?;
    for name in product {
        if let Some(topic) = topics.get(name).filter(|topic| topic.partitions != options.partitions) {
            return Err(OpenError::Partitions {
                topic: name.clone(),
                stored: topic.partitions,
                asked: options.partitions,
            });
        }
    }
    transaction.commit().map_err(database)?;
    Ok(topics)
}

/// The topics that the analyzer works: of these nothing goes before it is worked.
fn guarded(topics: &HashMap<String, Topic>, options: &Options) -> Vec<Guarded> {
    [&options.topics.raw, &options.topics.matches]
        .into_iter()
        .filter_map(|name| {
            let (name, topic) = (name.clone(), topics.get(name)?.id);
            Some(Guarded { topic, name })
        })
        .collect()
}

struct Known {
    epoch: String,
    feed_head: i64,
    heads: Vec<(Slot, Head)>,
}

fn known(connection: &Connection) -> rusqlite::Result<Known> {
    let mut query = connection.prepare("SELECT slot, low, high FROM log_partition")?;
    let heads = query
        .query_map([], |row| {
            let head = Head {
                low: crate::fault::uint(row.get(1)?),
                high: crate::fault::uint(row.get(2)?),
                bytes: 0,
            };
            Ok((Slot(row.get(0)?), head))
        })?
        .collect::<Result<_, _>>()?;
    Ok(Known {
        epoch: connection.query_row("SELECT value FROM meta WHERE name = 'epoch'", [], |row| row.get(0))?,
        feed_head: connection.query_row("SELECT coalesce(max(seq), 0) FROM feed", [], |row| row.get(0))?,
        heads,
    })
}

fn random_id() -> String {
    let mut bytes = [0; 12];
    rand::rng().fill_bytes(&mut bytes);
    threatstream_domain::hex(&bytes)
}
