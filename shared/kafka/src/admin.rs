//! Questions to the cluster, and the group's offsets: one client beside the producer and the readers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};
use threatstream_backend::{BackendError, Broker, Watermarks};
use tokio::sync::{OnceCell, oneshot};
use tokio::time::timeout;

use crate::config::KafkaConfig;
use crate::context::{Context, Trouble};
use crate::fault::{from_code, from_error, is_unknown_topic, rejected, unavailable, unknown_topic};
use crate::off_thread::{Closing, make_client, off_thread};

type Client = Arc<Closing<StreamConsumer<Context>>>;

/// A partition as the brokers describe it.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) partition: u32,
    pub(crate) leader: Option<i32>,
    pub(crate) replicas: u32,
    pub(crate) in_sync: u32,
}

/// What a metadata request answers.
pub(crate) struct Described {
    pub(crate) brokers: Vec<Broker>,
    /// By name; the reason where a topic cannot be described.
    pub(crate) topics: Vec<(String, Result<Vec<Shape>, RDKafkaErrorCode>)>,
}

/// The client, made at first use.
pub(crate) struct Admin {
    config: KafkaConfig,
    trouble: Arc<Trouble>,
    client: OnceCell<(Client, oneshot::Sender<()>)>,
    /// One report of progress at a time: a commit that hangs is not joined by others.
    reporting: Arc<tokio::sync::Mutex<()>>,
    /// Topics that were there.
    seen: Mutex<HashSet<String>>,
}

impl Admin {
    pub(crate) fn new(config: KafkaConfig, trouble: Arc<Trouble>) -> Self {
        Self {
            config,
            trouble,
            client: OnceCell::new(),
            reporting: Arc::default(),
            seen: Mutex::default(),
        }
    }

    pub(crate) async fn client(&self) -> Result<Client, BackendError> {
        let make = || async {
            let context = Context::new("admin", Arc::clone(&self.trouble));
            let made: StreamConsumer<Context> = make_client(self.config.consumer(), context).await?;
            let client = Arc::new(Closing::new(made));
            let (keep, mut closed) = oneshot::channel();
            let listener = Arc::clone(&client);
            // Nothing is read with this client, but its log lines and errors come as events, and pile up unless taken.
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        _ = &mut closed => break,
                        event = listener.recv() => drop(event),
                    }
                }
            });
            Ok::<_, BackendError>((client, keep))
        };
        Ok(Arc::clone(&self.client.get_or_try_init(make).await?.0))
    }

    /// Calls what blocks; `doing` and `topic` are for errors.
    async fn call<T: Send + 'static>(
        &self,
        doing: &'static str,
        topic: &str,
        work: impl FnOnce(&StreamConsumer<Context>, Duration) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, BackendError> {
        let client = self.client().await?;
        let patience = self.config.request_timeout;
        let call = off_thread(move || work(&client, patience));
        // librdkafka keeps to its timeouts, or nearly.
        match timeout(patience * 2, call).await {
            Ok(answer) => match answer? {
                Ok(answer) => {
                    self.trouble.is_over();
                    Ok(answer)
                }
                Err(error) => Err(self.trouble.explain(from_error(&error, doing, topic))),
            },
            Err(_) => Err(self.trouble.explain(unavailable(format!("{doing} {topic}: timed out")))),
        }
    }

    /// The cluster, and one topic or all of them.
    pub(crate) async fn describe(&self, topic: Option<&str>) -> Result<Described, BackendError> {
        let wanted = topic.map(str::to_owned);
        let work = move |client: &StreamConsumer<Context>, patience| {
            let metadata = client.fetch_metadata(wanted.as_deref(), patience)?;
            Ok(described(&metadata))
        };
        self.call("describing", topic.unwrap_or("the cluster"), work).await
    }

    /// The partitions of a topic.
    pub(crate) async fn shapes(&self, topic: &str) -> Result<Vec<Shape>, BackendError> {
        let described = self.describe(Some(topic)).await?;
        match described.topics.into_iter().find(|(name, _)| name == topic) {
            Some((_, Ok(shapes))) if shapes.is_empty() => Err(unavailable(format!("{topic} is being made"))),
            Some((_, Ok(shapes))) => {
                self.saw(topic);
                Ok(shapes)
            }
            Some((_, Err(code))) => Err(self.undescribed(code, topic)),
            None => Err(self.missing(topic)),
        }
    }

    /// Takes note of a topic that is there.
    pub(crate) fn saw(&self, topic: &str) {
        let mut seen = self.seen.lock();
        if !seen.contains(topic) {
            seen.insert(topic.to_owned());
        }
    }

    /// What it means that the brokers do not tell of a topic: one that was there before is likely to be there again.
    pub(crate) fn missing(&self, topic: &str) -> BackendError {
        if self.seen.lock().contains(topic) {
            unavailable(format!("the brokers no longer know the topic {topic}"))
        } else {
            unknown_topic(topic)
        }
    }

    /// Why a topic is not described.
    pub(crate) fn undescribed(&self, code: RDKafkaErrorCode, topic: &str) -> BackendError {
        if is_unknown_topic(code) {
            self.missing(topic)
        } else {
            from_code(code, "describing", topic)
        }
    }

    /// The id that the cluster says it has.
    pub(crate) async fn cluster_id(&self) -> Result<Option<String>, BackendError> {
        self.call("describing", "the cluster", |client, patience| {
            Ok(client.client().fetch_cluster_id(patience))
        })
        .await
    }

    /// Where these partitions begin and end: two requests to each leader, for all partitions that it leads.
    pub(crate) async fn watermarks(&self, topic: &str, partitions: &[u32]) -> Result<Vec<Watermarks>, BackendError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let (name, partitions) = (topic.to_owned(), partitions.to_vec());
        let work = move |client: &StreamConsumer<Context>, patience: Duration| {
            // The begins first: a partition then never seems to end before it begins.
            let low = offsets(client, &name, &partitions, Offset::Beginning, patience)?;
            let high = offsets(client, &name, &partitions, Offset::End, patience)?;
            let marks = low.into_iter().zip(high);
            Ok(marks.map(|(low, high)| Watermarks { low, high }).collect())
        };
        self.call("asking for the offsets of", topic, work).await
    }

    /// What the group has committed, in the order of `partitions`.
    pub(crate) async fn committed(&self, topic: &str, partitions: &[u32]) -> Result<Vec<Option<u64>>, BackendError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let (name, partitions) = (topic.to_owned(), partitions.to_vec());
        let work = move |client: &StreamConsumer<Context>, patience: Duration| {
            let mut asked = TopicPartitionList::with_capacity(partitions.len());
            for partition in &partitions {
                asked.add_partition(&name, number(*partition));
            }
            let answer = client.committed_offsets(asked, patience)?;
            partitions
                .iter()
                .map(|partition| match answer.find_partition(&name, number(*partition)) {
                    None => Ok(None),
                    Some(element) => {
                        element.error()?;
                        Ok(known(element.offset()))
                    }
                })
                .collect()
        };
        self.call("asking for the group's offsets of", topic, work).await
    }

    /// Commits the group's offsets.
    pub(crate) async fn commit(&self, topic: &str, next_offsets: &[(u32, u64)]) -> Result<(), BackendError> {
        let mut offsets = TopicPartitionList::with_capacity(next_offsets.len());
        for (partition, offset) in next_offsets {
            let offset = i64::try_from(*offset).map_err(|_| rejected(format!("{offset} is no offset")))?;
            offsets
                .add_partition_offset(topic, number(*partition), Offset::Offset(offset))
                .map_err(|error| from_error(&error, "reporting progress on", topic))?;
        }
        if next_offsets.is_empty() {
            return Ok(());
        }
        let turn = timeout(self.config.request_timeout, Arc::clone(&self.reporting).lock_owned())
            .await
            .map_err(|_| unavailable(format!("reporting progress on {topic}: the last report has not ended")))?;
        let work = move |client: &StreamConsumer<Context>, _| {
            let _turn = turn;
            client.commit(&offsets, CommitMode::Sync)
        };
        self.call("reporting progress on", topic, work).await
    }
}

fn described(metadata: &Metadata) -> Described {
    let brokers = metadata.brokers().iter().map(|broker| Broker {
        id: broker.id(),
        host: broker.host().to_owned(),
        port: u16::try_from(broker.port()).unwrap_or_default(),
    });
    let topics = metadata.topics().iter().map(|topic| {
        let shapes = match topic.error() {
            Some(error) => Err(error.into()),
            None => Ok(shapes(topic)),
        };
        (topic.name().to_owned(), shapes)
    });
    Described {
        brokers: brokers.collect(),
        topics: topics.collect(),
    }
}

fn shapes(topic: &MetadataTopic) -> Vec<Shape> {
    let count = |replicas: &[i32]| u32::try_from(replicas.len()).unwrap_or(u32::MAX);
    let mut shapes: Vec<Shape> = topic
        .partitions()
        .iter()
        .filter_map(|partition| {
            Some(Shape {
                partition: u32::try_from(partition.id()).ok()?,
                leader: Some(partition.leader()).filter(|leader| *leader >= 0),
                replicas: count(partition.replicas()),
                in_sync: count(partition.isr()),
            })
        })
        .collect();
    shapes.sort_by_key(|shape| shape.partition);
    shapes
}

/// Where partitions begin, or end, in the order given.
fn offsets(
    client: &StreamConsumer<Context>,
    topic: &str,
    partitions: &[u32],
    which: Offset,
    patience: Duration,
) -> KafkaResult<Vec<u64>> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition_offset(topic, number(*partition), which)?;
    }
    // A lookup by time takes the two logical offsets for times, and asks for all partitions at once.
    let answer = client.offsets_for_times(asked, patience)?;
    partitions
        .iter()
        .map(|partition| {
            let element = answer
                .find_partition(topic, number(*partition))
                .ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition))?;
            element.error()?;
            known(element.offset()).ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetNotAvailable))
        })
        .collect()
}

fn known(offset: Offset) -> Option<u64> {
    match offset {
        Offset::Offset(offset) => u64::try_from(offset).ok(),
        _ => None,
    }
}

/// A partition's number as librdkafka has it.
pub(crate) fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}
