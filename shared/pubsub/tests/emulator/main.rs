//! The task queue against Google's emulator of Pub/Sub, whose address is in `PUBSUB_EMULATOR_HOST`.

mod conformance;
mod faults;
mod hostile;
mod proxy;

use std::time::Duration;

use threatstream_backend::RetryPolicy;
use threatstream_pubsub::PubSubOptions;

const PROJECT: &str = "test";
/// Short, because the tests wait for its end.
const LEASE: Duration = Duration::from_secs(3);
/// As few attempts as Pub/Sub counts to, and short waits.
const POLICY: RetryPolicy = RetryPolicy {
    max_attempts: 5,
    min_backoff: Duration::from_secs(1),
    max_backoff: Duration::from_secs(2),
};

/// The emulator's address. Without one the test is left out, and says so; where emulators are required, it fails.
fn emulator() -> Option<String> {
    let host = std::env::var("PUBSUB_EMULATOR_HOST")
        .ok()
        .filter(|host| !host.is_empty());
    if host.is_none() {
        assert!(
            std::env::var_os("THREATSTREAM_REQUIRE_EMULATORS").is_none(),
            "PUBSUB_EMULATOR_HOST is not set, and the emulators are required"
        );
        eprintln!("left out: PUBSUB_EMULATOR_HOST names no Pub/Sub emulator");
    }
    host
}

/// A queue's name that no other test has.
fn unique() -> String {
    format!("t{:016x}", rand::random::<u64>())
}

fn options(emulator: &str) -> PubSubOptions {
    PubSubOptions {
        emulator_host: Some(emulator.to_owned()),
        policy: POLICY,
        ..PubSubOptions::new(PROJECT)
    }
}
