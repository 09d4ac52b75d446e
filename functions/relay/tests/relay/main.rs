//! The relay through a real server on loopback, with real clients and a real store.

mod alone;
mod dead_peer;
mod handshake;
mod limits;
mod live;
mod manners;
mod outage;
mod resume;
mod rig;
mod slow;
mod unreachable;
