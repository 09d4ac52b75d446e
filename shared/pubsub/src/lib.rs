//! The task queue on Pub/Sub.
//!
//! The queue `respond` is the topic `threatstream-respond` and the subscription of the same name; what was given up waits in the topic
//! and subscription `threatstream-respond-dead`. A task is a message: its payload as JSON, with the attributes `queue` and `task_id`.
//! [`PubSubQueue::open`] does no I/O; clients are made at first use.
//!
//! Creating topics and subscriptions is infrastructure's, except on the emulator, where they are made at first use. A queue's
//! subscription needs
//! - a dead-letter policy that forwards to the queue's dead topic after as many attempts as [`RetryPolicy`] has, or more. Pub/Sub counts
//!   deliveries only where there is one, and its count is the only one that survives whoever took the task: a task that kills every
//!   process that takes it becomes a dead letter all the same;
//! - an acknowledgement deadline that covers the moment between a pull and the lease that it is then given.
//!
//! The wait before a retry is the message's own deadline, moved: it stands at the server, so that the process that failed need not
//! live to see it. Leases and waits are at most 600 s, as Pub/Sub has them.
//!
//! What Pub/Sub has not: it does not know an id that it has seen before (handlers are idempotent by it), and it does not say how full a
//! subscription is (Cloud Monitoring does, minutes later).
//!
//! The service account needs `roles/pubsub.publisher`, `roles/pubsub.subscriber` where it takes tasks or lists dead letters, and
//! `roles/pubsub.viewer` for [`check`](threatstream_backend::TaskQueue::check). Pub/Sub's own service agent needs publisher on the dead
//! topics and subscriber on the queues' subscriptions.
//!
//! [`RetryPolicy`]: threatstream_backend::RetryPolicy

mod clients;
mod dead;
mod emulator;
mod fault;
mod message;
mod names;
mod options;
mod puller;
mod queue;
mod wire;

pub use options::PubSubOptions;
pub use queue::PubSubQueue;
