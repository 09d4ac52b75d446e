//! Points in time, and where they come from.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
///
/// In JSON it is RFC 3339 in UTC with milliseconds (`2026-11-22T09:00:00.000Z`); what is finer than a millisecond stays
/// inside the product, where it orders events that arrived together. Years run from 1 to 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// 0001-01-01T00:00:00Z, in microseconds.
const MIN: i64 = -62_135_596_800_000_000;
/// 9999-12-30T22:00:00Z, in microseconds: the last moment that every time zone can still show.
const MAX: i64 = 253_402_207_200_000_000;

/// Why a text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time from 0001-01-01 to 9999-12-30, such as 2026-11-22T09:00:00Z")]
pub struct InvalidTime;

impl Timestamp {
    /// The start of 1970.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since 1970, held within the years 1 to 9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(MIN, MAX))
    }

    /// From milliseconds since 1970, held within the years 1 to 9999.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self::from_micros(millis.saturating_mul(1000))
    }

    /// From seconds since 1970, held within the years 1 to 9999.
    #[must_use]
    pub fn from_secs(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970, rounded down.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds since 1970, rounded down.
    #[must_use]
    pub fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Minutes since 1970, rounded down: the bucket that counters by minute use.
    #[must_use]
    pub fn minute(self) -> i64 {
        self.0.div_euclid(60_000_000)
    }

    /// This moment plus a span, held within the years 1 to 9999.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self::from_micros(
            self.0
                .saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// This moment less a span, held within the years 1 to 9999.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self::from_micros(
            self.0
                .saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `HH:MM:SS` in UTC, as the timeline's labels.
    #[must_use]
    pub fn clock_face(self) -> String {
        let seconds = self.as_secs().rem_euclid(86_400);
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// As the calendar and time-zone library has it.
    #[must_use]
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.3}",
            jiff::Timestamp::from_millisecond(self.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        )
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        // A time without a zone would be read in the zone of whoever reads it.
        let parsed: jiff::Timestamp = text.trim().parse().map_err(|_| InvalidTime)?;
        let micros = parsed.as_microsecond();
        if (MIN..=MAX).contains(&micros) {
            Ok(Self(micros))
        } else {
            Err(InvalidTime)
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Serde for a [`Timestamp`] that must keep its microseconds: an integer, for what stays inside the product.
pub mod micros {
    use super::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes microseconds since 1970.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_micros())
    }

    /// Reads microseconds since 1970.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_micros)
    }
}

/// The one place time comes from; tests turn their own.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until [`Clock::advance`] turns it.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self(Some(Arc::new(AtomicI64::new(at.as_micros()))))
    }

    /// Turns a fixed clock forward. The machine's clock is not ours to turn: there it does nothing.
    pub fn advance(&self, span: Duration) {
        if let Some(micros) = &self.0 {
            micros.fetch_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Some(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)),
            None => system_now(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system_now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        let time: Timestamp = "2026-11-22T10:00:00.1239+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-22T09:00:00.123Z");
        assert_eq!(time.clock_face(), "09:00:00");
        assert_eq!(
            serde_json::from_str::<Timestamp>("\"2026-11-22T09:00:00Z\"")
                .unwrap()
                .as_secs(),
            1_795_338_000
        );
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "99999-01-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-22",
            "2026-11-22T09:00:00",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTime), "{text}");
        }
    }

    #[test]
    fn extremes_stay_within_the_calendar() {
        assert!(Timestamp::from_secs(i64::MAX).to_string().starts_with("9999-"));
        assert!(Timestamp::from_secs(i64::MIN).to_string().starts_with("0001-"));
        assert_eq!(Timestamp::EPOCH.since(Timestamp::from_secs(5)), Duration::ZERO);
    }

    #[test]
    fn a_fixed_clock_moves_only_when_turned() {
        let clock = Clock::fixed(Timestamp::from_secs(10));
        clock.clone().advance(Duration::from_secs(2));
        assert_eq!(clock.now(), Timestamp::from_secs(12));
    }
}
