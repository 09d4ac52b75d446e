//! Rules about several events: what they read and when they fire. The windows are kept elsewhere.

mod condition;
mod draft;

use std::collections::BTreeMap;
use std::time::Duration;

use threatstream_domain::{Severity, ThreatType};

pub use condition::{Bound, Comparison, Condition};
pub(super) use draft::{Draft, references};

/// What a correlation looks at.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CorrelationKind {
    /// How many events match; an event that matches several of the rules is one.
    EventCount,
    /// How many different values a field has, or several fields together, among matching events.
    ValueCount {
        /// The fields.
        fields: Vec<String>,
    },
    /// Which of the rules matched.
    Temporal {
        /// They must have matched in the order in which the correlation names them.
        ordered: bool,
    },
    /// The sum of a number.
    ValueSum {
        /// The field that holds it.
        field: String,
    },
    /// The mean of a number.
    ValueAverage {
        /// The field that holds it.
        field: String,
    },
    /// A percentile of a number, interpolated between the two nearest values.
    ValuePercentile {
        /// The field that holds it.
        field: String,
        /// Which: 0 to 100.
        percentile: f64,
    },
    /// The middle one of a number's values.
    ValueMedian {
        /// The field that holds it.
        field: String,
    },
}

impl CorrelationKind {
    /// As Sigma names it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::EventCount => "event_count",
            Self::ValueCount { .. } => "value_count",
            Self::Temporal { ordered: false } => "temporal",
            Self::Temporal { ordered: true } => "temporal_ordered",
            Self::ValueSum { .. } => "value_sum",
            Self::ValueAverage { .. } => "value_avg",
            Self::ValuePercentile { .. } => "value_percentile",
            Self::ValueMedian { .. } => "value_median",
        }
    }

    /// What is counted is whole, and at least 1.
    fn is_count(&self) -> bool {
        matches!(self, Self::EventCount | Self::ValueCount { .. } | Self::Temporal { .. })
    }
}

/// A rule about several events in a window of event time.
///
/// What holds as soon as enough has happened (only `gt` and `gte`, or which rules matched) is decided with each event. An upper
/// bound (`lt`, `lte`, `eq`, `neq`) is decided when the window is over: when the same group has an event beyond its end.
/// [`Condition::is_decided_at_once`] tells which.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Correlation {
    /// Its `id`, or one made of its content where it has none.
    pub id: String,
    /// The `name` by which others may refer to it.
    pub name: Option<String>,
    /// What it detects, in a line.
    pub title: String,
    /// What it detects, at length.
    pub description: Option<String>,
    /// Its `level`; `medium` where it has none.
    pub level: Severity,
    /// How far it is trusted.
    pub status: Option<String>,
    /// ATT&CK techniques of its tags, or of the rules it reads where it has none.
    pub techniques: Vec<String>,
    /// ATT&CK tactics of its tags, or of the rules it reads where it has none.
    pub tactics: Vec<String>,
    /// Its `threat_type`, else what its techniques and tactics, and the log sources of its rules, say.
    pub threat_type: ThreatType,
    /// What else may look like this.
    pub false_positives: Vec<String>,
    /// Fields that an analyst wants to see.
    pub fields: Vec<String>,
    /// Its `recommended_actions`.
    pub recommended_actions: Vec<String>,
    /// The file it came from.
    pub file: String,
    /// Ids of the rules and correlations whose matches it counts, each once, in the order in which it names them.
    pub rules: Vec<String>,
    /// Fields or aliases whose values keep windows apart; empty: one window for all. An event that lacks one of them belongs to
    /// no window.
    pub group_by: Vec<String>,
    /// For each alias, the field it stands for in the events of a rule, by the rule's id.
    pub aliases: BTreeMap<String, BTreeMap<String, String>>,
    /// How long a window is.
    pub timespan: Duration,
    /// What it looks at.
    pub kind: CorrelationKind,
    /// What must be so for it to fire.
    pub condition: Condition,
    /// Whether its rules are threats by themselves too.
    pub generate: bool,
    /// False when it only feeds other correlations, none of which says `generate: true`.
    pub alerts_alone: bool,
    pub(super) index: usize,
}

impl Correlation {
    /// The field that a name of [`group_by`](Self::group_by), or the counted field, means in the events of a rule.
    #[must_use]
    pub fn field<'c>(&'c self, name: &'c str, rule_id: &str) -> &'c str {
        let alias = self.aliases.get(name).and_then(|fields| fields.get(rule_id));
        alias.map_or(name, String::as_str)
    }

    /// The place of a rule or correlation among those it names.
    #[must_use]
    pub fn step(&self, rule_id: &str) -> Option<usize> {
        self.rules.iter().position(|own| own == rule_id)
    }
}
