//! The whole platform, as the binary that a user starts, over HTTP and WebSocket and from the command line.

#[path = "platform/harness.rs"]
mod harness;

#[path = "platform/analyst.rs"]
mod analyst;

#[path = "platform/accounting.rs"]
mod accounting;
#[path = "platform/brute_force.rs"]
mod brute_force;
#[path = "platform/configuration.rs"]
mod configuration;
#[path = "platform/deployment.rs"]
mod deployment;
#[path = "platform/doctor.rs"]
mod doctor;
#[path = "platform/kill.rs"]
mod kill;
#[path = "platform/partitions.rs"]
mod partitions;
#[path = "platform/reload.rs"]
mod reload;
#[path = "platform/response.rs"]
mod response;
#[path = "platform/routes.rs"]
mod routes;
#[path = "platform/rules.rs"]
mod rules;
#[path = "platform/scan.rs"]
mod scan;
#[path = "platform/traffic.rs"]
mod traffic;
