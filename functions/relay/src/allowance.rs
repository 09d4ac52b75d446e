//! How often a client may speak.

use std::time::{Duration, Instant};

/// What a frame that could not be understood takes.
pub(crate) const MALFORMED: u32 = 2;
/// What a frame takes that is answered by the whole state.
pub(crate) const STATE: u32 = 5;
/// What any other frame takes.
pub(crate) const PLAIN: u32 = 1;

const BURST: u32 = 250;
const EACH: Duration = Duration::from_millis(50);

/// A bucket of 250, filled again by 20 a second.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: u32,
    filled: Instant,
}

impl Allowance {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            filled: now,
        }
    }

    /// Takes `cost`; false when there is not as much left.
    pub(crate) fn take(&mut self, cost: u32, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.filled).as_millis() / EACH.as_millis();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(due).min(BURST);
        // What is not yet worth a whole one stays due; the cap keeps the product within a duration.
        self.filled = if self.left == BURST {
            now
        } else {
            self.filled + EACH * due
        };
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_does_not() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert!((0..BURST).all(|_| allowance.take(PLAIN, start)));
        assert!(!allowance.take(PLAIN, start + Duration::from_millis(49)));
        assert!(allowance.take(PLAIN, start + Duration::from_millis(51)));
        assert!(!allowance.take(PLAIN, start + Duration::from_millis(99)));
        assert!(allowance.take(PLAIN, start + Duration::from_millis(101)));
        assert!(allowance.take(BURST, start + Duration::from_secs(3600)));
    }
}
