//! The window of a correlation that an event goes into, as match describes it to judge.

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::sigma::Condition;

/// The window of a correlation that an event goes into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// What the event adds to it.
    pub counts: Counts,
    /// When it fires.
    pub condition: Condition,
    /// The length in seconds, at least 1.
    pub timespan_seconds: u64,
    /// The group-by fields and this event's values.
    pub group: Vec<(String, String)>,
    /// Whether it makes a threat when it fires; not so when it is only there to be counted.
    pub alone: bool,
    /// The correlations that count it when it fires.
    pub feeds: Vec<Feed>,
}

/// A correlation that counts the windows of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feed {
    /// What it says when it comes to a threat.
    pub verdict: Verdict,
    /// Whom it is about.
    pub entity: String,
    /// The window of it that the fired window goes into.
    pub window: Window,
}

/// What an event adds to a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Counts {
    /// One event.
    Event,
    /// A value, of which the different ones are counted.
    Value {
        /// The field, or several joined by commas.
        field: String,
        /// This event's value.
        value: String,
    },
    /// A number, of all of which something is made.
    Number {
        /// The field.
        field: String,
        /// This event's number; finite.
        #[serde(with = "exact")]
        value: f64,
        /// What is made of all.
        measure: Measure,
    },
    /// One of several rules has matched.
    Rule {
        /// Which, from 0.
        step: u8,
        /// How many there are, at most 64.
        steps: u8,
        /// They are to match in their order.
        ordered: bool,
    },
}

/// What is made of the numbers in a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Measure {
    /// Their sum.
    Sum,
    /// Their mean.
    Average,
    /// A percentile, 0 to 100, interpolated between the two nearest.
    Percentile(#[serde(with = "exact")] f64),
}

impl Counts {
    /// What is measured, in words: `sum of bytes_sent`.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Event => "event_count".to_owned(),
            Self::Value { field, .. } => format!("value_count({field})"),
            Self::Number { field, measure, .. } => match measure {
                Measure::Sum => format!("value_sum({field})"),
                Measure::Average => format!("value_avg({field})"),
                Measure::Percentile(rank) => format!("value_percentile({field}, {rank})"),
            },
            Self::Rule { ordered: false, .. } => "temporal".to_owned(),
            Self::Rule { ordered: true, .. } => "temporal_ordered".to_owned(),
        }
    }
}

impl Window {
    /// The length in microseconds, at least 1.
    pub(crate) fn timespan_micros(&self) -> i64 {
        i64::try_from(self.timespan_seconds.saturating_mul(1_000_000)).map_or(i64::MAX, |micros| micros.max(1))
    }

    /// Names the kind of window this is: of one group, windows of different shapes have nothing to do with each other.
    pub(crate) fn shape(&self) -> String {
        let steps = match &self.counts {
            Counts::Rule { steps, .. } => *steps,
            Counts::Event | Counts::Value { .. } | Counts::Number { .. } => 0,
        };
        let label = self.counts.label();
        format!("{label} {steps} {:?} {}", self.condition, self.timespan_seconds)
    }
}

/// Numbers as text, so that they come back bit for bit whatever reads them.
pub(crate) mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value: Option<f64> = text.parse().ok().filter(|value: &f64| value.is_finite());
        value.ok_or_else(|| D::Error::custom("not a finite number"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back_bit_for_bit(value in prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL) {
            let counts = Counts::Number { field: "f".into(), value, measure: Measure::Percentile(99.9) };
            let json: Counts = serde_json::from_slice(&serde_json::to_vec(&counts).unwrap()).unwrap();
            let packed: Counts = postcard::from_bytes(&postcard::to_allocvec(&counts).unwrap()).unwrap();
            for read in [json, packed] {
                let Counts::Number { value: read, .. } = read else { panic!("a number") };
                prop_assert_eq!(read.to_bits(), value.to_bits());
            }
        }
    }
}
