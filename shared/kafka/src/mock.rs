//! A small Kafka cluster in the process, for tests: librdkafka's own mock.
//!
//! It speaks the protocol on loopback, to this process and to others. What it does not do as a real cluster does:
//! - a partition keeps 5 MiB or 100,000 batches and then silently drops its oldest: consume while producing, use many
//!   partitions;
//! - a fetch that waits is not woken by an append: wait little ([`MockKafka::config`] has 10 ms);
//! - a fetch is answered with one batch of each partition;
//! - a produce request that arrives twice is appended twice, for sequence numbers are only checked in transactions;
//! - topics cannot be created by request.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
pub use rdkafka::types::{RDKafkaApiKey as Request, RDKafkaRespErr as Answer};
use threatstream_backend::Topics;

use crate::config::KafkaConfig;

type Cluster = MockCluster<'static, DefaultProducerContext>;
type Order = Box<dyn FnOnce(&Cluster) + Send>;

/// The cluster; gone when this is dropped.
pub struct MockKafka {
    bootstrap_servers: String,
    /// The cluster is bound to the thread that made it.
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl MockKafka {
    /// Starts so many brokers with these topics and numbers of partitions.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(brokers: u32, topics: &[(&str, u32)]) -> Self {
        let (orders, received) = mpsc::channel::<Order>();
        let (started, addresses) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("mock-kafka".to_owned())
            .spawn(move || {
                let brokers = i32::try_from(brokers).expect("a number of brokers");
                let cluster = MockCluster::new(brokers).expect("the mock cluster starts");
                started.send(cluster.bootstrap_servers()).ok();
                while let Ok(order) = received.recv() {
                    order(&cluster);
                }
            })
            .expect("a thread");
        let kafka = Self {
            bootstrap_servers: addresses.recv().expect("the mock cluster starts"),
            orders: Some(orders),
            thread: Some(thread),
        };
        for (topic, partitions) in topics {
            kafka.create_topic(topic, *partitions);
        }
        kafka
    }

    /// Starts so many brokers with the product's topics under their own names, all of so many partitions.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn with_product_topics(brokers: u32, partitions: u32) -> Self {
        let names = Topics::default();
        let topics = [
            names.raw,
            names.matches,
            names.analyzed,
            names.alerts,
            names.metrics,
            names.dead_letters,
        ];
        let topics: Vec<(&str, u32)> = topics.iter().map(|name| (name.as_str(), partitions)).collect();
        Self::start(brokers, &topics)
    }

    /// Where it listens: `host:port`, several separated by commas.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// What a log on this cluster is opened with.
    #[must_use]
    pub fn config(&self) -> KafkaConfig {
        KafkaConfig {
            fetch_wait: Duration::from_millis(10),
            ..KafkaConfig::new(self.bootstrap_servers())
        }
    }

    /// Makes a topic, kept by every broker (three at most).
    ///
    /// # Panics
    /// When it is there already.
    pub fn create_topic(&self, topic: &str, partitions: u32) {
        let topic = topic.to_owned();
        let partitions = i32::try_from(partitions).expect("a number of partitions");
        let brokers = i32::try_from(self.bootstrap_servers.split(',').count()).unwrap_or(1);
        self.order(move |cluster| cluster.create_topic(&topic, partitions, brokers.min(3)));
    }

    /// The next requests of this kind are answered with these errors, one each; `_TRANSPORT` cuts the connection.
    pub fn fail(&self, request: Request, answers: &[Answer]) {
        let answers = answers.to_vec();
        self.order(move |cluster| {
            cluster.request_errors(request, &answers);
            Ok(())
        });
    }

    /// Forgets the errors of this kind of request that were not given yet.
    pub fn stop_failing(&self, request: Request) {
        self.order(move |cluster| {
            cluster.clear_request_errors(request);
            Ok(())
        });
    }

    /// Lets a broker, or all of them, take so long for each answer. Brokers are numbered from 1.
    ///
    /// # Panics
    /// When there is no such broker.
    pub fn round_trip_time(&self, broker: Option<i32>, delay: Duration) {
        self.order(move |cluster| cluster.broker_round_trip_time(broker.unwrap_or(-1), delay));
    }

    /// Takes a broker down, or all of them: connections are cut and refused; leaders stay leaders.
    ///
    /// # Panics
    /// When there is no such broker.
    pub fn down(&self, broker: Option<i32>) {
        self.order(move |cluster| cluster.broker_down(broker.unwrap_or(-1)));
    }

    /// Brings a broker back, or all of them, with all that was in it.
    ///
    /// # Panics
    /// When there is no such broker.
    pub fn up(&self, broker: Option<i32>) {
        self.order(move |cluster| cluster.broker_up(broker.unwrap_or(-1)));
    }

    /// Makes a broker a partition's leader, or leaves it without one.
    ///
    /// # Panics
    /// When there is no such partition or broker.
    pub fn lead(&self, topic: &str, partition: u32, broker: Option<i32>) {
        let topic = topic.to_owned();
        let partition = i32::try_from(partition).expect("a partition");
        self.order(move |cluster| cluster.partition_leader(&topic, partition, broker));
    }

    /// Does something with the cluster, and waits until it is done.
    fn order(&self, order: impl FnOnce(&Cluster) -> KafkaResult<()> + Send + 'static) {
        let (done, answer) = mpsc::channel();
        let order: Order = Box::new(move |cluster| {
            done.send(order(cluster)).ok();
        });
        let orders = self.orders.as_ref().expect("the cluster runs until it is dropped");
        orders.send(order).expect("the mock cluster runs");
        let result = answer.recv().expect("the mock cluster answers");
        result.expect("the mock cluster does as told");
    }
}

impl Drop for MockKafka {
    fn drop(&mut self) {
        self.orders.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
