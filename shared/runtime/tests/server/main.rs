//! The real server on loopback ports.

mod admission;
mod problems;
mod shutdown;
mod support;
