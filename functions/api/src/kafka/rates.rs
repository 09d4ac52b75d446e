//! Records a second, measured between two looks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use threatstream_domain::Timestamp;

/// Looks that follow each other faster tell nothing new: they are answered with what was measured before.
const SHORTEST: Duration = Duration::from_secs(1);

/// A topic's rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// Records a second.
    pub(crate) per_second: f64,
    /// Over how many seconds that was measured.
    pub(crate) seconds: f64,
}

/// What the last looks saw, in this process.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<String, Look>>);

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Timestamp,
    appended: u64,
    rate: Option<Rate>,
}

impl Rates {
    /// Remembers how many records a topic was ever given, and says how fast that number grew since the look before. `None` at
    /// the first look, and when the number fell, because the topic was made anew.
    pub(crate) fn look(&self, topic: &str, appended: u64, now: Timestamp) -> Option<Rate> {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = looks.get(topic).copied();
        let rate = match before {
            None => None,
            Some(before) if appended < before.appended => None,
            Some(before) => {
                let span = now.since(before.at);
                if span < SHORTEST {
                    return before.rate;
                }
                #[expect(clippy::cast_precision_loss, reason = "counts between two looks lie far below 2^52")]
                let grown = (appended - before.appended) as f64;
                let seconds = span.as_secs_f64();
                Some(Rate {
                    per_second: (grown / seconds * 1000.0).round() / 1000.0,
                    seconds: (seconds * 1000.0).round() / 1000.0,
                })
            }
        };
        let look = Look {
            at: now,
            appended,
            rate,
        };
        looks.insert(topic.to_owned(), look);
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_measured_between_two_looks_and_never_made_up() {
        let (rates, at) = (Rates::default(), Timestamp::from_secs);
        assert_eq!(rates.look("raw", 100, at(10)), None);
        // Too soon to tell.
        assert_eq!(rates.look("raw", 500, at(10)), None);
        let measured = Rate {
            per_second: 50.0,
            seconds: 20.0,
        };
        assert_eq!(rates.look("raw", 1100, at(30)), Some(measured));
        assert_eq!(rates.look("raw", 9999, at(30)), Some(measured));
        // A clock that was set back says nothing, and the topic of another name has its own.
        assert_eq!(rates.look("raw", 9999, at(5)), Some(measured));
        assert_eq!(rates.look("matches", 1, at(30)), None);
        // Made anew.
        assert_eq!(rates.look("raw", 3, at(40)), None);
        assert_eq!(rates.look("raw", 4, at(42)).unwrap().per_second, 0.5);
    }
}
