//! The embedded backend does what every backend must.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use threatstream_backend::conformance::Fixture;
use threatstream_backend::conformance::samples::noon;
use threatstream_backend::conformance::tasks::{Time, Timed};
use threatstream_backend::{EventLog, RetryPolicy, Store};
use threatstream_domain::Clock;
use threatstream_embedded::{Embedded, Options, open};

threatstream_backend::conformance_log!(open_log);
threatstream_backend::conformance_store!(open_store);
threatstream_backend::conformance_store_ordered!(open_store);
threatstream_backend::conformance_tasks!(open_tasks);
threatstream_backend::conformance_tasks_exact!(open_tasks);

fn opened() -> (Arc<Embedded>, Box<TempDir>) {
    let folder = TempDir::new().unwrap();
    (Arc::new(open(Options::new(folder.path())).unwrap()), Box::new(folder))
}

async fn open_log() -> Fixture<dyn EventLog> {
    let (subject, keep) = opened();
    let prefix = "test".to_owned();
    Fixture { subject, prefix, keep }
}

async fn open_store() -> Fixture<dyn Store> {
    let (subject, keep) = opened();
    let prefix = "test".to_owned();
    Fixture { subject, prefix, keep }
}

async fn open_tasks() -> Fixture<Timed> {
    let (tasks, keep) = opened();
    let subject = Arc::new(Timed {
        tasks,
        time: Time::Told(Clock::fixed(noon())),
        policy: RetryPolicy::default(),
        lease: Duration::from_secs(30),
    });
    let prefix = "test".to_owned();
    Fixture { subject, prefix, keep }
}
