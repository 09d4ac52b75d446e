//! The log: what the traits ask, put together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use parking_lot::RwLock;
use threatstream_backend::{
    BackendError, ClusterInfo, Durability, EventLog, LogReader, PartitionInfo, Position, Record, TopicInfo, Watermarks,
    partition_of,
};

use crate::admin::{Admin, Shape};
use crate::clients::Clients;
use crate::config::KafkaConfig;
use crate::context::Trouble;
use crate::fault::{from_error, rejected};
use crate::producer::Producer;
use crate::reader::Reader;

/// An event log on a Kafka cluster.
pub struct KafkaLog {
    config: KafkaConfig,
    trouble: Arc<Trouble>,
    admin: Arc<Admin>,
    producer: Producer,
    clients: Arc<Clients>,
    /// How many partitions a topic has: asked once, for it is fixed for the topic's life.
    partitions: RwLock<HashMap<String, u32>>,
}

impl KafkaLog {
    /// A log of this cluster. Does no I/O and makes no client; the first call that needs one does.
    ///
    /// # Errors
    /// `Rejected` when a setting is not one that librdkafka takes.
    pub fn open(config: KafkaConfig) -> Result<Self, BackendError> {
        if config.bootstrap_servers.trim().is_empty() {
            return Err(rejected("no bootstrap servers are given"));
        }
        if config.consumer_group.is_empty() {
            return Err(rejected("no consumer group is given"));
        }
        for client in [config.producer(), config.reader()] {
            client
                .create_native_config()
                .map_err(|error| from_error(&error, "configuring", "kafka"))?;
        }
        let trouble = Arc::new(Trouble::default());
        Ok(Self {
            admin: Arc::new(Admin::new(config.clone(), Arc::clone(&trouble))),
            producer: Producer::new(config.clone(), Arc::clone(&trouble)),
            clients: Arc::new(Clients::new(config.clone(), Arc::clone(&trouble))),
            partitions: RwLock::default(),
            trouble,
            config,
        })
    }

    /// Makes the clients that the first append would otherwise wait for, to be called in the background once the port listens: the
    /// TLS context, and half a second until the producer has its id.
    ///
    /// # Errors
    /// `Rejected` when a client cannot be made. That the brokers do not answer is no error here.
    pub async fn connect(&self) -> Result<(), BackendError> {
        tokio::try_join!(self.producer.client(), self.admin.client()).map(drop)
    }

    async fn describe(&self, topic: &str, shapes: &[Shape]) -> Result<TopicInfo, BackendError> {
        // A partition that nobody leads has no offsets to ask for.
        let led: Vec<u32> = shapes
            .iter()
            .filter(|shape| shape.leader.is_some())
            .map(|shape| shape.partition)
            .collect();
        let all: Vec<u32> = shapes.iter().map(|shape| shape.partition).collect();
        let (marks, committed) =
            tokio::try_join!(self.admin.watermarks(topic, &led), self.admin.committed(topic, &all))?;
        let marks: HashMap<u32, Watermarks> = led.into_iter().zip(marks).collect();
        let partitions = shapes.iter().zip(committed).map(|(shape, committed)| {
            let marks = marks.get(&shape.partition).copied().unwrap_or_default();
            PartitionInfo {
                partition: shape.partition,
                leader: shape.leader,
                replicas: shape.replicas,
                in_sync: shape.in_sync,
                low: marks.low,
                high: marks.high,
                committed,
            }
        });
        Ok(TopicInfo {
            name: topic.to_owned(),
            partitions: partitions.collect(),
        })
    }
}

#[async_trait]
impl EventLog for KafkaLog {
    async fn partitions(&self, topic: &str) -> Result<u32, BackendError> {
        if let Some(count) = self.partitions.read().get(topic) {
            return Ok(*count);
        }
        // Asked by a consumer: a producer's question makes the topic where brokers are set so, with their own number.
        let count = u32::try_from(self.admin.shapes(topic).await?.len()).unwrap_or(u32::MAX);
        self.partitions.write().insert(topic.to_owned(), count);
        Ok(count)
    }

    /// Both durabilities are the same here: all replicas that are in sync have the records.
    async fn append(
        &self,
        topic: &str,
        records: Vec<Record>,
        _durability: Durability,
    ) -> Result<Vec<Position>, BackendError> {
        let partitions = self.partitions(topic).await?;
        let records = records
            .into_iter()
            .map(|record| (partition_of(record.key.as_bytes(), partitions), record))
            .collect();
        let appended = self.producer.append(topic, records).await;
        if appended.as_ref().is_err_and(|error| !error.is_retryable()) {
            // The topic may have been made again, with fewer partitions.
            self.partitions.write().remove(topic);
        }
        appended
    }

    async fn open(&self, topic: &str, from: &[(u32, u64)]) -> Result<Box<dyn LogReader>, BackendError> {
        let partitions = self.partitions(topic).await?;
        let mut asked = HashSet::new();
        for (partition, _) in from {
            if *partition >= partitions {
                return Err(rejected(format!("{topic} has no partition {partition}")));
            }
            if !asked.insert(*partition) {
                return Err(rejected(format!("partition {partition} of {topic} is asked for twice")));
            }
        }
        let (admin, trouble) = (Arc::clone(&self.admin), Arc::clone(&self.trouble));
        Ok(Box::new(
            Reader::open(&self.clients, admin, trouble, topic, from).await?,
        ))
    }

    async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, BackendError> {
        let partitions: Vec<u32> = (0..self.partitions(topic).await?).collect();
        self.admin.watermarks(topic, &partitions).await
    }

    /// A topic that does not exist is listed without partitions; a partition that nobody leads, without offsets (zeros).
    async fn cluster(&self, topics: &[String]) -> Result<ClusterInfo, BackendError> {
        let (described, id) = tokio::try_join!(self.admin.describe(None), self.admin.cluster_id())?;
        let shapes: HashMap<String, Vec<Shape>> = described
            .topics
            .into_iter()
            .filter_map(|(name, shapes)| Some((name, shapes.ok()?)))
            .collect();
        let none = Vec::new();
        let infos = topics
            .iter()
            .map(|topic| self.describe(topic, shapes.get(topic).unwrap_or(&none)));
        Ok(ClusterInfo {
            kind: "kafka",
            cluster_id: id.or_else(|| self.config.cluster_id.clone()),
            brokers: described.brokers,
            topics: try_join_all(infos).await?,
        })
    }

    async fn report_progress(&self, topic: &str, next_offsets: &[(u32, u64)]) -> Result<(), BackendError> {
        self.admin.commit(topic, next_offsets).await
    }

    /// A round trip to the brokers, which must know every topic of the configuration.
    async fn check(&self) -> Result<(), BackendError> {
        let described = self.admin.describe(None).await?;
        let topics = &self.config.topics;
        for wanted in [
            &topics.raw,
            &topics.matches,
            &topics.analyzed,
            &topics.alerts,
            &topics.metrics,
            &topics.dead_letters,
        ] {
            match described.topics.iter().find(|(name, _)| name == wanted) {
                None => return Err(self.admin.missing(wanted)),
                Some((_, Err(code))) => return Err(self.admin.undescribed(*code, wanted)),
                Some((_, Ok(_))) => self.admin.saw(wanted),
            }
        }
        Ok(())
    }
}
