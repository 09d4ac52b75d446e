//! The event log.

mod read;
pub(crate) mod retention;
pub(crate) mod slot;
pub(crate) mod tail;

use std::collections::HashSet;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};
use threatstream_backend::{
    BackendError, ClusterInfo, Durability, EventLog, LogReader, PartitionInfo, Position, Record, TopicInfo, Watermarks,
    partition_of,
};
use tokio::sync::oneshot;

use crate::block::segments;
use crate::embedded::Embedded;
use crate::fault::{Fault, rejected, unavailable};
use crate::writer::{Append, Head, Job, Promise, Session};

use self::read::Reader;
use self::slot::Slot;

/// Above this many bytes, an append is packed on a thread that may work for long.
const LARGE: usize = 128 * 1024;

/// A topic as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) id: i64,
    pub(crate) partitions: u32,
}

/// Makes a topic unless it is there.
pub(crate) fn make_topic(session: &mut Session<'_>, name: &str, partitions: u32) -> Result<Topic, Fault> {
    let db = session.db;
    db.prepare_cached("INSERT INTO topic (name, partitions) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING")?
        .execute(params![name, partitions])?;
    let topic = db
        .prepare_cached("SELECT id, partitions FROM topic WHERE name = ?1")?
        .query_row([name], |row| {
            Ok(Topic {
                id: row.get(0)?,
                partitions: row.get(1)?,
            })
        })
        .optional()?
        .ok_or_else(|| rejected("a topic could not be made"))?;
    if topic.id >> 13 != 0 {
        return Err(rejected("the database has as many topics as it can number").into());
    }
    Ok(topic)
}

impl Embedded {
    /// Looks a topic up, and makes it when it is not there.
    async fn topic(&self, name: &str) -> Result<Topic, BackendError> {
        if let Some(topic) = self.inner.topics.read().get(name) {
            return Ok(*topic);
        }
        let (wanted, partitions) = (name.to_owned(), self.inner.options.partitions);
        let topic: Topic = self
            .inner
            .writer
            .run::<_, Fault, _>(Promise::Durable, move |session| {
                make_topic(session, &wanted, partitions)
            })
            .await?;
        let mut topics = self.inner.topics.write();
        if topics.insert(name.to_owned(), topic).is_none() {
            let slots = (0..topic.partitions).map(|partition| (Slot::of(topic.id, partition), Head::default()));
            self.inner.tail.know(slots);
        }
        Ok(topic)
    }
}

#[async_trait]
impl EventLog for Embedded {
    async fn partitions(&self, topic: &str) -> Result<u32, BackendError> {
        Ok(self.topic(topic).await?.partitions)
    }

    async fn append(
        &self,
        topic: &str,
        records: Vec<Record>,
        durability: Durability,
    ) -> Result<Vec<Position>, BackendError> {
        let topic = self.topic(topic).await?;
        let count = records.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let bytes: usize = records.iter().map(|record| record.value.len() + record.key.len()).sum();
        // Callers that are faster than the disk wait here, rather than in memory.
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.inner.room_total);
        let _room = self
            .inner
            .room
            .acquire_many(wanted)
            .await
            .map_err(|_| unavailable("the database is closed"))?;
        let pack = move || segments(records, |key| partition_of(key, topic.partitions));
        let segments = if bytes > LARGE {
            let packed = tokio::task::spawn_blocking(pack).await;
            packed.map_err(|error| unavailable(format!("an append was not packed: {error}")))?
        } else {
            pack()
        };
        let (answer, answered) = oneshot::channel();
        let append = Append {
            topic: topic.id,
            promise: match durability {
                Durability::Promised => Promise::Durable,
                Durability::Redoable => Promise::Redoable,
            },
            count: count as u64,
            segments,
            answer,
        };
        self.inner.writer.send(Job::Append(append)).await?;
        let segments = answered
            .await
            .map_err(|_| unavailable("the database was closed before the append"))??;
        let mut positions = vec![
            Position {
                partition: 0,
                offset: 0
            };
            count
        ];
        for segment in segments {
            for (index, offset) in segment.places() {
                if let Some(position) = positions.get_mut(index as usize) {
                    *position = Position {
                        partition: segment.partition,
                        offset,
                    };
                }
            }
        }
        Ok(positions)
    }

    async fn open(&self, topic: &str, from: &[(u32, u64)]) -> Result<Box<dyn LogReader>, BackendError> {
        let known = self.topic(topic).await?;
        let mut asked = HashSet::new();
        for (partition, _) in from {
            if *partition >= known.partitions {
                return Err(rejected(format!("{topic} has no partition {partition}")));
            }
            if !asked.insert(*partition) {
                return Err(rejected(format!("partition {partition} of {topic} is asked for twice")));
            }
        }
        Ok(Box::new(Reader::new(self, known.id, from.to_vec())))
    }

    async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, BackendError> {
        let topic = self.topic(topic).await?;
        Ok(self.inner.tail.watermarks(topic.id, topic.partitions))
    }

    async fn cluster(&self, topics: &[String]) -> Result<ClusterInfo, BackendError> {
        let mut described = Vec::with_capacity(topics.len());
        for name in topics {
            // Each partition is led and kept by this one file.
            let partitions = (0..)
                .zip(self.watermarks(name).await?)
                .map(|(partition, marks)| PartitionInfo {
                    partition,
                    leader: Some(0),
                    replicas: 1,
                    in_sync: 1,
                    low: marks.low,
                    high: marks.high,
                    committed: None,
                });
            described.push(TopicInfo {
                name: name.clone(),
                partitions: partitions.collect(),
            });
        }
        Ok(ClusterInfo {
            kind: "embedded",
            cluster_id: None,
            brokers: Vec::new(),
            topics: described,
        })
    }

    async fn report_progress(&self, _topic: &str, _next_offsets: &[(u32, u64)]) -> Result<(), BackendError> {
        Ok(())
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.reach().await
    }
}
