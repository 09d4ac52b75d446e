//! The relay through a real server on loopback, with real clients and a real store.

mod handshake;
mod limits;
mod live;
mod manners;
mod resume;
mod rig;
mod slow;
