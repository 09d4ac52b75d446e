//! How many lines are due, evenly, and never more than twice the rate when catching up; and how many went out.

use std::collections::VecDeque;
use std::time::Duration;

/// The longest stretch that counts at once towards what may be sent: after a stall the debt is paid at twice the rate and
/// not in one burst.
const WINDOW: Duration = Duration::from_millis(100);

const MICRO: u64 = 1_000_000;

/// Line `n` is due `n / eps` seconds after the start; `total` lines in all.
#[derive(Debug)]
pub(crate) struct Pace {
    eps: u64,
    total: u64,
    sent: u64,
    /// What may be sent now, in millionths of a line.
    credit: u64,
    seen: Duration,
}

impl Pace {
    /// A pace at which `sent` lines of `total` are out already, `elapsed` after the start.
    pub(crate) fn new(eps: u32, total: u64, sent: u64, elapsed: Duration) -> Self {
        Self {
            eps: u64::from(eps),
            total,
            sent,
            credit: MICRO,
            seen: elapsed,
        }
    }

    /// How many lines to send now; they count as sent.
    pub(crate) fn due(&mut self, elapsed: Duration) -> u64 {
        let passed = elapsed.saturating_sub(self.seen).min(WINDOW);
        self.seen = self.seen.max(elapsed);
        self.credit = (self.credit + 2 * self.eps * micros(passed)).min(MICRO.max(2 * self.eps * micros(WINDOW)));
        let scheduled = self.total.min(self.eps.saturating_mul(micros(elapsed)) / MICRO + 1);
        let due = scheduled.saturating_sub(self.sent).min(self.credit / MICRO);
        self.credit -= due * MICRO;
        self.sent += due;
        due
    }
}

/// Counts the events of the last second.
#[derive(Default)]
pub(crate) struct Rate(VecDeque<(Duration, usize)>);

impl Rate {
    pub(crate) fn add(&mut self, at: Duration, count: usize) {
        self.0.push_back((at, count));
    }

    /// Events a second over the last second.
    pub(crate) fn at(&mut self, now: Duration) -> f64 {
        while self
            .0
            .front()
            .is_some_and(|(at, _)| now.saturating_sub(*at) >= Duration::from_secs(1))
        {
            self.0.pop_front();
        }
        let count: usize = self.0.iter().map(|(_, count)| count).sum();
        // At most twice 500.
        u32::try_from(count).map_or(f64::MAX, f64::from)
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TICK: Duration = Duration::from_millis(50);

    fn counts(pace: &mut Pace, from: Duration, to: Duration) -> Vec<u64> {
        let mut at = from;
        let mut counts = Vec::new();
        while at <= to {
            counts.push(pace.due(at));
            at += TICK;
        }
        counts
    }

    #[test]
    fn an_undisturbed_run_is_even_and_complete() {
        for eps in [1, 7, 20, 33, 500] {
            let duration = Duration::from_secs(10);
            let counts = counts(
                &mut Pace::new(eps, u64::from(eps) * 10, 0, Duration::ZERO),
                Duration::ZERO,
                duration,
            );
            assert_eq!(counts.iter().sum::<u64>(), u64::from(eps) * 10, "{eps}");
            let most = u64::from(eps).div_ceil(20);
            assert!(counts.iter().all(|count| *count <= most), "{eps}: {counts:?}");
        }
    }

    #[test]
    fn a_debt_is_paid_at_twice_the_rate() {
        let mut pace = Pace::new(100, 6000, 100, Duration::from_secs(11));
        let counts = counts(&mut pace, Duration::from_secs(11), Duration::from_secs(41));
        assert!(counts[1..].iter().all(|count| *count <= 10), "{counts:?}");
        assert_eq!(
            counts[1..=20].iter().sum::<u64>(),
            200,
            "the first second after the pause"
        );
        assert_eq!(pace.sent, 4101, "caught up");
    }

    #[test]
    fn the_rate_is_that_of_the_last_second() {
        let mut rate = Rate::default();
        assert!(rate.at(Duration::ZERO).abs() < f64::EPSILON);
        for tick in 0..40 {
            rate.add(TICK * tick, 3);
        }
        assert!((rate.at(TICK * 39) - 60.0).abs() < f64::EPSILON);
        assert!(
            (rate.at(TICK * 50) - 27.0).abs() < f64::EPSILON,
            "after a stall it falls"
        );
        assert!(rate.at(TICK * 100).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn no_gap_makes_a_burst(eps in 1u32..=500, gaps in prop::collection::vec(0u64..3_000, 1..200)) {
            let mut pace = Pace::new(eps, u64::from(eps) * 300, 0, Duration::ZERO);
            let mut at = Duration::ZERO;
            for gap in gaps {
                at += Duration::from_millis(gap);
                let due = pace.due(at);
                prop_assert!(due <= (u64::from(eps) / 5).max(1));
                prop_assert!(pace.sent <= u64::from(eps) * 300);
                prop_assert!(pace.sent as f64 <= at.as_secs_f64() * f64::from(eps) + 1.001);
            }
        }
    }
}
