//! Nothing is lost and nothing comes twice when the database is out of reach, and when another process was faster.

mod commits;
mod feed;
#[path = "../support/proxy.rs"]
mod proxy;
mod rig;
#[path = "../support/mod.rs"]
mod support;
