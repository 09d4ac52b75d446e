//! The queue itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use google_cloud_pubsub::model::Message;
use threatstream_backend::{BackendError, DeadTask, Delivery, Failed, QueueDepth, RESPOND_QUEUE, Task, TaskQueue};
use threatstream_domain::Timestamp;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clients::{Clients, PATIENCE};
use crate::message::{NEVER_ENDED, dead, from_dead, from_task, poison, to_task};
use crate::names::Names;
use crate::options::PubSubOptions;
use crate::puller::MAX_LEASE;
use crate::wire::ReceivedMessage;
use crate::{dead as dead_list, emulator, fault};

/// A server may answer a pull early with nothing. Asking again at once would be a loop without end.
const PAUSE: Duration = Duration::from_millis(100);

/// Task queues on Pub/Sub.
pub struct PubSubQueue {
    options: PubSubOptions,
    clients: OnceCell<Clients>,
    /// The queues that were made on the emulator.
    prepared: Mutex<HashMap<String, Arc<OnceCell<()>>>>,
    /// Two who list the same dead letters at once would each see a part of them.
    listing: tokio::sync::Mutex<()>,
}

impl PubSubQueue {
    /// Opens without any I/O: the first call makes the clients and connects. A project or prefix that no name can be made of is
    /// refused by every call.
    #[must_use]
    pub fn open(options: PubSubOptions) -> Self {
        Self {
            options,
            clients: OnceCell::new(),
            prepared: Mutex::default(),
            listing: tokio::sync::Mutex::default(),
        }
    }

    async fn clients(&self) -> Result<&Clients, BackendError> {
        self.clients
            .get_or_try_init(|| Clients::new(self.options.emulator_host.as_deref()))
            .await
    }

    /// The clients and the names of a queue, which is there by then if it is ours to make.
    async fn reach(&self, queue: &str) -> Result<(&Clients, Names), BackendError> {
        let names = Names::new(&self.options.project, &self.options.topic_prefix, queue)?;
        let clients = self.clients().await?;
        if self.options.emulator_host.is_some() {
            let cell = {
                let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(prepared.entry(queue.to_owned()).or_default())
            };
            let preparing = cell.get_or_try_init(|| emulator::prepare(clients, &names, &self.options.policy));
            match timeout(PATIENCE, preparing).await {
                Ok(made) => made?,
                Err(_) => return Err(fault::unavailable("the emulator does not answer")),
            };
        }
        Ok((clients, names))
    }

    /// What was pulled as deliveries. What is no task, or came once too often, is buried on the way.
    async fn deliveries(
        &self,
        clients: &Clients,
        names: &Names,
        queue: &str,
        pulled: Vec<ReceivedMessage>,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, BackendError> {
        let mut taken = Vec::with_capacity(pulled.len());
        for received in pulled {
            let ReceivedMessage {
                ack_id,
                message: Some(message),
                delivery_attempt,
            } = received
            else {
                continue;
            };
            let attempt = u32::try_from(delivery_attempt).unwrap_or(0);
            if attempt == 0 {
                return Err(fault::rejected(format!(
                    "{} has no dead-letter policy, so that nobody counts the attempts of its tasks",
                    names.subscription
                )));
            }
            let over = attempt > self.options.policy.max_attempts.max(1);
            let letter = match to_task(&message, queue) {
                Ok(task) if !over => {
                    taken.push(Delivery {
                        task,
                        attempt,
                        receipt: ack_id,
                    });
                    continue;
                }
                Ok(task) => dead(task, attempt - 1, NEVER_ENDED, now),
                Err(why) => poison(&message, queue, attempt, &why, now),
            };
            // It must not keep the others from being worked on: it comes again when its lease is over.
            if let Err(error) = bury(clients, names, &letter, Some(&ack_id)).await {
                tracing::warn!(queue, task_id = letter.task.id, %error, "a dead letter could not be written yet");
            }
        }
        Ok(taken)
    }
}

/// Writes the dead letter and lets go of what it came from, in this order: in between, both are there, and a list shows one.
async fn bury(clients: &Clients, names: &Names, letter: &DeadTask, receipt: Option<&str>) -> Result<(), BackendError> {
    tracing::warn!(
        queue = letter.task.queue,
        task_id = letter.task.id,
        attempts = letter.attempts,
        error = letter.error,
        "a task is given up"
    );
    clients.publish(&names.dead_topic, vec![from_dead(letter)?]).await?;
    match receipt {
        Some(receipt) => clients.puller.acknowledge(&names.subscription, receipt).await,
        None => Ok(()),
    }
}

#[async_trait]
impl TaskQueue for PubSubQueue {
    async fn enqueue(&self, tasks: Vec<Task>, _now: Timestamp) -> Result<(), BackendError> {
        let mut by_queue: BTreeMap<&str, Vec<Message>> = BTreeMap::new();
        // All are looked at before the first is sent.
        for task in &tasks {
            by_queue.entry(&task.queue).or_default().push(from_task(task)?);
        }
        for (queue, messages) in by_queue {
            let (clients, names) = self.reach(queue).await?;
            clients.publish(&names.topic, messages).await?;
        }
        Ok(())
    }

    async fn take(
        &self,
        queue: &str,
        max: usize,
        lease: Duration,
        now: Timestamp,
        wait: Duration,
    ) -> Result<Vec<Delivery>, BackendError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let until = Instant::now() + wait;
        let (clients, names) = self.reach(queue).await?;
        loop {
            let earliest_next = Instant::now() + PAUSE;
            let pulled = clients.puller.pull(&names.subscription, max, until).await?;
            if !pulled.is_empty() {
                let ids: Vec<String> = pulled.iter().map(|received| received.ack_id.clone()).collect();
                // A lease of nothing would give the tasks back at once.
                let lease = lease.max(Duration::from_secs(1));
                clients.puller.lease(&names.subscription, &ids, lease).await?;
                let taken = self.deliveries(clients, &names, queue, pulled, now).await?;
                if !taken.is_empty() {
                    return Ok(taken);
                }
            }
            if Instant::now() >= until {
                return Ok(Vec::new());
            }
            sleep_until(earliest_next).await;
        }
    }

    async fn complete(&self, delivery: &Delivery, _now: Timestamp) -> Result<(), BackendError> {
        let (clients, names) = self.reach(&delivery.task.queue).await?;
        clients.puller.acknowledge(&names.subscription, &delivery.receipt).await
    }

    async fn fail(&self, delivery: &Delivery, error: &str, now: Timestamp) -> Result<Failed, BackendError> {
        let (clients, names) = self.reach(&delivery.task.queue).await?;
        let Some(backoff) = self.options.policy.backoff(delivery.attempt) else {
            let letter = dead(delivery.task.clone(), delivery.attempt, error, now);
            bury(clients, &names, &letter, Some(&delivery.receipt)).await?;
            return Ok(Failed::Dead);
        };
        let backoff = backoff.min(MAX_LEASE);
        clients
            .puller
            .lease(&names.subscription, std::slice::from_ref(&delivery.receipt), backoff)
            .await?;
        Ok(Failed::Retry(now.plus(backoff)))
    }

    async fn bury(&self, task: Task, attempts: u32, error: &str, now: Timestamp) -> Result<(), BackendError> {
        let (clients, names) = self.reach(&task.queue).await?;
        bury(clients, &names, &dead(task, attempts, error, now), None).await
    }

    async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadTask>, BackendError> {
        let (clients, names) = self.reach(queue).await?;
        let _alone = self.listing.lock().await;
        dead_list::list(clients, &names, queue, limit).await
    }

    async fn depth(&self, _queue: &str) -> Result<QueueDepth, BackendError> {
        // Only Cloud Monitoring knows, and minutes later.
        Ok(QueueDepth::default())
    }

    async fn check(&self) -> Result<(), BackendError> {
        let (clients, names) = self.reach(RESPOND_QUEUE).await?;
        let asked = clients.topics.get_topic().set_topic(&names.topic).send();
        match timeout(PATIENCE, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(fault::sdk(&error)),
            Err(_) => Err(fault::unavailable(format!("no answer within {PATIENCE:?}"))),
        }
    }
}
