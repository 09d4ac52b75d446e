//! The store on Firestore.
//!
//! [`FirestoreStore`] is a [`Store`](threatstream_backend::Store) over one database. What must happen together is one `Commit`
//! with preconditions; nothing here is a transaction that reads, so that nobody waits for another's lock, and a commit of a
//! batch normally reads nothing: what its preconditions need is remembered from the answers before. A precondition that does
//! not hold is looked into then, and only then.
//!
//! No document is written by everybody: counters are kept for each partition, lists are spread over shards. Bodies are
//! stored as one JSON text beside the fields that are asked for, and stay under the limits of a document whatever an event
//! holds. Everything that ages has an `expires_at`, which a TTL policy deletes by and which every query respects.

mod alerts;
mod analytics;
mod client;
mod codec;
mod commit;
mod documents;
mod error;
mod feed;
pub mod indexes;
mod leases;
mod list;
mod meter;
mod options;
mod place;
mod query;
mod responses;
mod retry;
mod simulations;
mod state;
mod store;
mod threats;

pub use meter::Usage;
pub use options::FirestoreOptions;
pub use store::FirestoreStore;
