//! The log, the store and the task queue in one SQLite file, for the whole product in one process on one machine.
//!
//! [`open`] takes a folder and gives an [`Embedded`], which is all three of
//! [`EventLog`](threatstream_backend::EventLog), [`Store`](threatstream_backend::Store) and
//! [`TaskQueue`](threatstream_backend::TaskQueue).
//!
//! Everything is written by one thread. It takes all that is queued, runs it as one transaction and answers the callers after
//! the commit, so that many callers share one `fdatasync`. It owns two connections: what was promised to somebody outside
//! commits on the one that is `synchronous=FULL`; what the analyzer can do again commits on the one that is `NORMAL`, which
//! waits for no disk. Both write the same WAL, so a power loss cuts it at one place: results are lost together with the
//! checkpoint that covers them. Reads go through a few read-only connections; the newest records of the log come from memory.

mod block;
mod embedded;
mod fault;
mod log;
mod maintenance;
mod options;
mod readers;
mod schema;
mod store;
mod tasks;
mod writer;

pub use embedded::{Embedded, open};
pub use options::{OpenError, Options};
