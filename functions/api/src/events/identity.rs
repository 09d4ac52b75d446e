//! What an event is called when its sender gave it no name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;
use threatstream_domain::derived_id;
use threatstream_runtime::{Principal, Problem};

/// New ids: a random number of this process, and a counter.
#[derive(Clone, Debug)]
pub(crate) struct FreshIds(Arc<Fresh>);

#[derive(Debug)]
struct Fresh {
    process: u64,
    next: AtomicU64,
}

impl FreshIds {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Fresh {
            process: rand::random(),
            next: AtomicU64::new(0),
        }))
    }

    fn next(&self) -> String {
        format!(
            "EVT-{:016x}-{:x}",
            self.0.process,
            self.0.next.fetch_add(1, Ordering::Relaxed)
        )
    }
}

/// How the events of one request are called.
#[derive(Clone, Debug)]
pub(super) enum Naming {
    /// By the request's key and the line, so that the same request gives the same names.
    Keyed(String),
    /// By this name: there is one event.
    Given(String),
    /// Each by a new name.
    Fresh(FreshIds),
}

impl Naming {
    /// From the `Idempotency-Key`. The same key of two senders names different events.
    ///
    /// # Errors
    /// 400 for a key that is not 1 to 255 visible ASCII characters.
    pub(super) fn of(headers: &HeaderMap, sender: &Principal, fresh: &FreshIds) -> Result<Self, Problem> {
        let Some(value) = headers.get("idempotency-key") else {
            return Ok(Self::Fresh(fresh.clone()));
        };
        let key = value.as_bytes();
        if key.is_empty() || key.len() > 255 || !key.iter().all(u8::is_ascii_graphic) {
            return Err(Problem::bad_request("the request has a header that is not allowed")
                .field("idempotency-key", "expected 1 to 255 visible ASCII characters"));
        }
        Ok(Self::Keyed(derived_id(
            "EVT",
            &[&sender.name, &String::from_utf8_lossy(key)],
        )))
    }

    /// The name of the event on this line.
    pub(super) fn name(&self, line: u64) -> String {
        match self {
            Self::Keyed(prefix) => format!("{prefix}-{line}"),
            Self::Given(name) => name.clone(),
            Self::Fresh(ids) => ids.next(),
        }
    }
}
