//! Trying again after another's change came in between.

use std::time::Duration;

use threatstream_backend::BackendError;

use crate::error::{Fault, unavailable};

/// How often a change is worked out anew before it is given up.
const MAX_ATTEMPTS: u32 = 10;

/// Counts the attempts at a change that is worked out from what was read.
pub(crate) struct Attempts {
    what: &'static str,
    made: u32,
}

impl Attempts {
    /// Of a change with this name.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, made: 0 }
    }

    /// Waits a moment when another's write was in the way.
    ///
    /// # Errors
    /// Whatever else it was that failed; `Unavailable` when others are in the way again and again.
    pub(crate) async fn again(&mut self, fault: Fault) -> Result<(), BackendError> {
        match fault {
            Fault::Conflict(message) => {
                self.made += 1;
                if self.made >= MAX_ATTEMPTS {
                    return Err(unavailable(format!("{} collides with others': {message}", self.what)));
                }
                let most = 10u64 << self.made.min(6);
                tokio::time::sleep(Duration::from_millis(rand::random_range(most / 2..=most))).await;
                Ok(())
            }
            Fault::Backend(error) => Err(error),
        }
    }
}
