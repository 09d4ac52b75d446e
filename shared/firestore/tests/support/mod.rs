//! What the tests of this crate share: a store of its own for each of them, on the emulator.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use threatstream_backend::conformance::samples::noon;
use threatstream_domain::Clock;
use threatstream_firestore::{FirestoreOptions, FirestoreStore};

/// Where the emulator listens; `None`: there is none, and what was left out for it has been said.
pub(crate) fn emulator() -> Option<String> {
    const VARIABLE: &str = "FIRESTORE_EMULATOR_HOST";
    match std::env::var(VARIABLE) {
        Ok(host) if !host.is_empty() => Some(host),
        _ if std::env::var_os("THREATSTREAM_REQUIRE_EMULATORS").is_some() => panic!("{VARIABLE} is not set"),
        _ => {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            eprintln!("left out: {test} needs the Firestore emulator; {VARIABLE} is not set");
            None
        }
    }
}

/// A project that nobody else has: to the emulator, a database of its own.
pub(crate) fn fresh_project() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("test-{}-{:08x}-{number}", std::process::id(), rand::random::<u32>())
}

/// Options for an empty store whose clock stands at noon of the samples' day.
pub(crate) fn options(host: &str) -> FirestoreOptions {
    let mut options = FirestoreOptions::new(fresh_project());
    options.emulator_host = Some(host.to_owned());
    options.clock = Clock::fixed(noon());
    // The emulator shares the machine with all other tests.
    options.request_timeout = Duration::from_secs(60);
    options
}

/// An empty store whose clock stands at noon of the samples' day.
pub(crate) fn fresh_store() -> Option<Arc<FirestoreStore>> {
    let host = emulator()?;
    Some(Arc::new(FirestoreStore::open(options(&host))))
}
