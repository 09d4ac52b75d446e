//! The five functions as five processes, over a Kafka cluster, Firestore and Pub/Sub, and what goes wrong between them.
//!
//! The cluster is librdkafka's mock and lives in this process; Firestore and Pub/Sub are Google's emulators, which
//! `infra/ci/emulators run -- …` starts. Each test compares the ledger, the threats and the alerts with those of one
//! undisturbed process over one file. Tests take turns: each wants the machine for itself.
//!
//! The binaries are built first: `infra/ci/cloud-tests` does all of it.

#[expect(
    dead_code,
    reason = "what these tests do with one process is a part of what the others do"
)]
#[path = "platform/harness.rs"]
mod harness;

#[path = "cloud/connector.rs"]
mod connector;
#[path = "cloud/emulators.rs"]
mod emulators;
#[path = "cloud/outcome.rs"]
mod outcome;
#[path = "cloud/process.rs"]
mod process;
#[path = "cloud/proxy.rs"]
mod proxy;
#[path = "cloud/sender.rs"]
mod sender;
#[path = "cloud/site.rs"]
mod site;
#[path = "cloud/traffic.rs"]
mod traffic;
#[path = "cloud/watcher.rs"]
mod watcher;
#[path = "cloud/world.rs"]
mod world;

#[path = "cloud/broker.rs"]
mod broker;
#[path = "cloud/end_to_end.rs"]
mod end_to_end;
#[path = "cloud/idle.rs"]
mod idle;
#[path = "cloud/kill.rs"]
mod kill;
#[path = "cloud/leases.rs"]
mod leases;
#[path = "cloud/outage.rs"]
mod outage;
#[path = "cloud/push.rs"]
mod push;
#[path = "cloud/zombie.rs"]
mod zombie;
