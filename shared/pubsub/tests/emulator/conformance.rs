//! The queue on Pub/Sub does what every queue must.

use std::sync::Arc;

use threatstream_backend::conformance::Fixture;
use threatstream_backend::conformance::tasks::{Time, Timed};
use threatstream_pubsub::PubSubQueue;

use crate::{LEASE, POLICY, emulator, options, unique};

threatstream_backend::conformance_tasks!(open_tasks);

async fn open_tasks() -> Option<Fixture<Timed>> {
    let emulator = emulator()?;
    Some(Fixture {
        subject: Arc::new(Timed {
            tasks: Arc::new(PubSubQueue::open(options(&emulator))),
            time: Time::Real,
            policy: POLICY,
            lease: LEASE,
        }),
        prefix: unique(),
        keep: Box::new(()),
    })
}
