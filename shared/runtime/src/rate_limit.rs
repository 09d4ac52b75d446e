//! How many requests one caller may make.
//!
//! The generic cell rate algorithm: of each caller only the time is kept at which its allowance is full again, so that a caller costs a
//! map entry and nobody gets twice the limit around the edge of a window.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Callers remembered at once. Beyond, strangers share one allowance until others are full again.
const MAX_CALLERS: usize = 10_000;

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    Principal(Arc<str>),
    /// Of an IPv6 address only the network, because a host has all of it.
    Address(IpAddr),
    Others,
}

impl Caller {
    pub(crate) fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[derive(Debug)]
pub(crate) struct RateLimiter {
    window: Duration,
    /// What one request costs of the window.
    cost: Duration,
    full_at: Mutex<HashMap<Caller, Instant>>,
}

impl RateLimiter {
    /// `requests` in `window` and caller; `None` for no limit.
    pub(crate) fn new(requests: u32, window: Duration) -> Option<Self> {
        let cost = window.checked_div(requests)?;
        Some(Self {
            window,
            cost,
            full_at: Mutex::default(),
        })
    }

    /// Counts a request, or says after how long there is room for it.
    pub(crate) fn check(&self, mut caller: Caller, now: Instant) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock();
        if full_at.len() >= MAX_CALLERS && !full_at.contains_key(&caller) {
            full_at.retain(|_, at| *at > now);
            if full_at.len() >= MAX_CALLERS {
                caller = Caller::Others;
            }
        }
        let entry = full_at.entry(caller).or_insert(now);
        let next = (*entry).max(now) + self.cost;
        let ahead = next - now;
        if ahead > self.window {
            return Err(ahead - self.window);
        }
        *entry = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_for_each_caller_and_refills_evenly() {
        let limiter = RateLimiter::new(10, Duration::from_secs(60)).unwrap();
        let start = Instant::now();
        let (a, b) = (
            Caller::Principal("a".into()),
            Caller::address("192.0.2.1".parse().unwrap()),
        );
        for _ in 0..10 {
            assert_eq!(limiter.check(a.clone(), start), Ok(()));
        }
        assert_eq!(limiter.check(a.clone(), start), Err(Duration::from_secs(6)));
        assert_eq!(limiter.check(b, start), Ok(()));
        let later = start + Duration::from_secs(6);
        assert_eq!(limiter.check(a.clone(), later), Ok(()));
        assert!(limiter.check(a, later).is_err());
        assert!(RateLimiter::new(0, Duration::from_secs(60)).is_none());
    }

    #[test]
    fn memory_is_bounded_and_addresses_of_one_network_are_one_caller() {
        let limiter = RateLimiter::new(2, Duration::from_secs(60)).unwrap();
        let start = Instant::now();
        for number in 0..MAX_CALLERS as u32 * 2 {
            let _ = limiter.check(Caller::Address(IpAddr::V4(number.into())), start);
        }
        assert!(limiter.full_at.lock().len() <= MAX_CALLERS + 1);
        assert!(
            limiter.check(Caller::Principal("new".into()), start).is_err(),
            "strangers share one allowance"
        );
        assert_eq!(
            limiter.check(Caller::Principal("new".into()), start + Duration::from_secs(61)),
            Ok(())
        );
        assert_eq!(limiter.full_at.lock().len(), 1);

        let caller = |text: &str| Caller::address(text.parse().unwrap());
        assert_eq!(caller("2001:db8::1"), caller("2001:db8::ffff:1"));
        assert_ne!(caller("2001:db8::1"), caller("2001:db8:0:1::1"));
        assert_eq!(caller("::ffff:192.0.2.1"), caller("192.0.2.1"));
    }
}
