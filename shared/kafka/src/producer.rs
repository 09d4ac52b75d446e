//! Appending: one idempotent producer, replaced when it fails for good; every delivery awaited.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ThreadedProducer};
use threatstream_backend::{BackendError, Position, Record};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::config::KafkaConfig;
use crate::context::{Context, Trouble};
use crate::fault::{from_code, from_error, unavailable};
use crate::off_thread::{Closing, make_client};
use crate::record;

/// What this does, in errors.
const DOING: &str = "appending to";

/// Beyond librdkafka's own timeout, for its report of it to arrive.
const GRACE: Duration = Duration::from_secs(5);

/// How often an append larger than the whole queue looks for room.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Records handed over between two looks at what else the runtime has to do.
const STRIDE: usize = 512;

type Client = Arc<Closing<ThreadedProducer<Context>>>;

/// The producer, made at first use.
pub(crate) struct Producer {
    config: KafkaConfig,
    trouble: Arc<Trouble>,
    client: tokio::sync::Mutex<Option<Client>>,
    /// Bytes that may be in flight: callers that are faster than the brokers wait here, rather than in memory.
    room: Arc<Semaphore>,
}

impl Producer {
    pub(crate) fn new(config: KafkaConfig, trouble: Arc<Trouble>) -> Self {
        let room = Arc::new(Semaphore::new(config.queue_bytes as usize));
        Self {
            config,
            trouble,
            client: tokio::sync::Mutex::default(),
            room,
        }
    }

    /// The client; a new one when there is none or the last one failed for good.
    pub(crate) async fn client(&self) -> Result<Client, BackendError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = &*slot {
            let Some((code, reason)) = client.client().fatal_error() else {
                return Ok(Arc::clone(client));
            };
            // Its sequence numbers no longer agree with the brokers'. What it had in flight fails and is reported; a fresh
            // one begins a sequence of its own.
            tracing::warn!(%code, reason, "the producer failed for good and is replaced");
            *slot = None;
        }
        let context = Context::new("producer", Arc::clone(&self.trouble));
        let made: ThreadedProducer<Context> = make_client(self.config.producer(), context).await?;
        let client = Arc::new(Closing::new(made));
        *slot = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Appends records, each to its partition, and says where they went.
    pub(crate) async fn append(&self, topic: &str, records: Vec<(u32, Record)>) -> Result<Vec<Position>, BackendError> {
        for (_, record) in &records {
            record::check(record)?;
        }
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + self.config.delivery_timeout;
        let room = self
            .room(&records, deadline)
            .await
            .map_err(|e| self.trouble.explain(e))?;
        let client = self.client().await?;
        let (batch, told) = Batch::new(records.len(), room);
        send(&client, topic, &records, &batch, deadline).await;
        drop((batch, records));

        let answer = timeout(self.config.delivery_timeout + GRACE, told).await;
        match answer {
            Ok(Ok(Ok(positions))) => {
                self.trouble.is_over();
                Ok(positions)
            }
            Ok(Ok(Err(failure))) => Err(self.trouble.explain(failure.into_error(topic))),
            // The producer was dropped with the records in it, or is stuck.
            Ok(Err(_)) | Err(_) => Err(self
                .trouble
                .explain(unavailable(format!("{DOING} {topic}: no report of the delivery came")))),
        }
    }

    async fn room(&self, records: &[(u32, Record)], deadline: Instant) -> Result<OwnedSemaphorePermit, BackendError> {
        let bytes: usize = records.iter().map(|(_, record)| record::size(record)).sum();
        // An append larger than the queue gets all of it.
        let bytes = u32::try_from(bytes)
            .unwrap_or(u32::MAX)
            .clamp(1, self.config.queue_bytes);
        timeout_at(deadline, Arc::clone(&self.room).acquire_many_owned(bytes))
            .await
            .map_err(|_| unavailable("the queue of records to append stayed full"))?
            .map_err(|_| unavailable("the log is closed"))
    }
}

/// Hands the records over in order. A queue that is full is waited for: what comes after a record must not overtake it.
async fn send(
    client: &ThreadedProducer<Context>,
    topic: &str,
    records: &[(u32, Record)],
    batch: &Arc<Batch>,
    deadline: Instant,
) {
    for (index, (partition, record)) in records.iter().enumerate() {
        if index % STRIDE == STRIDE - 1 {
            tokio::task::yield_now().await;
        }
        loop {
            let delivery = Box::new(Delivery {
                batch: Arc::clone(batch),
                index,
            });
            match offer(client, topic, *partition, record, delivery) {
                Ok(()) => break,
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) if Instant::now() < deadline => {
                    sleep(LOOK_AGAIN).await;
                }
                Err(error) => {
                    // Nor is anything sent that comes after it.
                    batch.settle(records.len() - index, Err(Failure::of(error)));
                    return;
                }
            }
        }
    }
}

fn offer(
    client: &ThreadedProducer<Context>,
    topic: &str,
    partition: u32,
    record: &Record,
    delivery: Box<Delivery>,
) -> Result<(), KafkaError> {
    let mut message = BaseRecord::with_opaque_to(topic, delivery)
        .partition(i32::try_from(partition).unwrap_or(i32::MAX))
        .key(record.key.as_bytes())
        .payload(record.value.as_ref());
    if let Some(headers) = record::headers(record) {
        message = message.headers(headers);
    }
    client.send(message).map_err(|(error, _)| error)
}

/// Why an append failed.
enum Failure {
    Kafka(KafkaError),
    /// A retry was answered "I have that already": it is in the log, and the broker no longer knows where.
    PlaceUnknown,
}

impl Failure {
    fn of(error: KafkaError) -> Self {
        Self::Kafka(error)
    }

    fn into_error(self, topic: &str) -> BackendError {
        match self {
            // The queue was full until the deadline, purged with its producer, or the producer had failed for good: another
            // try goes to a fresh one.
            Self::Kafka(error) => match error.rdkafka_error_code() {
                Some(code) => from_code(code, DOING, topic),
                None => from_error(&error, DOING, topic),
            },
            Self::PlaceUnknown => unavailable(format!("{DOING} {topic}: taken, but the broker did not say where")),
        }
    }

    fn is_final(&self) -> bool {
        match self {
            Self::Kafka(error) => !from_error(error, DOING, "").is_retryable(),
            Self::PlaceUnknown => false,
        }
    }
}

/// The records of one append on their way.
struct Batch {
    state: Mutex<State>,
    /// Held until the last record is delivered, even when the caller has gone.
    _room: OwnedSemaphorePermit,
}

struct State {
    positions: Vec<Position>,
    left: usize,
    failure: Option<Failure>,
    answer: Option<oneshot::Sender<Result<Vec<Position>, Failure>>>,
}

impl Batch {
    fn new(count: usize, room: OwnedSemaphorePermit) -> (Arc<Self>, oneshot::Receiver<Result<Vec<Position>, Failure>>) {
        let (answer, told) = oneshot::channel();
        let nowhere = Position {
            partition: 0,
            offset: 0,
        };
        let state = State {
            positions: vec![nowhere; count],
            left: count,
            failure: None,
            answer: Some(answer),
        };
        let batch = Self {
            state: Mutex::new(state),
            _room: room,
        };
        (Arc::new(batch), told)
    }

    /// So many records are done with.
    fn settle(&self, count: usize, outcome: Result<(usize, Position), Failure>) {
        let mut state = self.state.lock();
        match outcome {
            Ok((index, position)) => {
                if let Some(place) = state.positions.get_mut(index) {
                    *place = position;
                }
            }
            // What is final is told rather than what may pass: trying again would meet it again.
            Err(failure) => {
                if state.failure.is_none() || failure.is_final() {
                    state.failure = Some(failure);
                }
            }
        }
        state.left = state.left.saturating_sub(count);
        if state.left == 0
            && let Some(answer) = state.answer.take()
        {
            let positions = std::mem::take(&mut state.positions);
            answer.send(state.failure.take().map_or(Ok(positions), Err)).ok();
        }
    }
}

/// What librdkafka keeps beside a record, and gives back with the report of its delivery.
pub(crate) struct Delivery {
    batch: Arc<Batch>,
    index: usize,
}

impl Delivery {
    pub(crate) fn report(&self, result: &DeliveryResult<'_>) {
        let outcome = match result {
            Ok(message) => match (u32::try_from(message.partition()), u64::try_from(message.offset())) {
                (Ok(partition), Ok(offset)) => Ok((self.index, Position { partition, offset })),
                _ => Err(Failure::PlaceUnknown),
            },
            Err((error, _)) => Err(Failure::of(error.clone())),
        };
        self.batch.settle(1, outcome);
    }
}
