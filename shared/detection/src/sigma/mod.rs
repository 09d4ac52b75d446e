//! Sigma: rules about single events, correlations over several, and filters, as the Sigma specification v2 defines them.
//!
//! A [`RuleSet`] is compiled once from the text of rule files and never changes. What cannot be evaluated faithfully is set
//! aside with its reason; the rest loads. An event is matched in three steps, each cheaper than the next: its log source
//! leads to the rules that can match at all; one scan over the fields they need leaves those whose indispensable texts are
//! there;
//! these are evaluated over borrowed fields, each field looked up once and each comparison made once, whatever the number
//! of rules that ask for it.
//!
//! # Correlations
//!
//! All types of the specification, and `value_median`: `event_count`, `value_count`, `temporal`, `temporal_ordered`, `value_sum`,
//! `value_avg`, `value_percentile` (with `percentile`, from 0 to 100). Where the specification leaves it open:
//!
//! - A window is as long as the timespan, wherever it begins, and lies in event time. It fires once.
//! - `gt` and `gte`, and which rules matched, are decided with each event. With `lt`, `lte`, `eq` or `neq` a window is decided
//!   when it is over: by an event of the same group past its end. A group that falls silent leaves its last window undecided.
//! - A mean, a percentile or a median is that of the timespan up to an event.
//! - `temporal` without a condition asks for all its rules; a number, for so many of them; an expression over their names, for
//!   what it says, but for `not`. In `temporal_ordered` events of the same time are in order.
//! - An event that lacks a field of `group-by`, or the field that is measured, belongs to no window.
//! - An event that matches several rules of a count is one event; of a `temporal` it counts for each.
//! - A correlation may name correlations, eight deep. What an inner one is grouped by does not matter to the outer one, which
//!   looks at the event that completed the inner window. Without `generate: true` what is named is no threat by itself.
//!
//! ```
//! use std::borrow::Cow;
//! use threatstream_detection::sigma::RuleSet;
//!
//! let rule = "
//! title: Failed password
//! logsource: { product: linux, service: sshd }
//! detection:
//!     selection: ['Failed password']
//!     condition: selection
//! ";
//! let set = RuleSet::load([(Cow::from("ssh.yml"), Cow::from(rule))]);
//! assert!(set.set_aside().is_empty());
//! assert!(set.might_match(b"sshd[1]: Failed password for root from 203.0.113.7"));
//! assert!(!set.might_match(b"sshd[1]: Accepted password for root from 203.0.113.7"));
//! ```

mod collection;
mod comparison;
mod condition;
mod correlation;
mod detection;
mod encoding;
mod error;
mod evaluate;
mod evidence;
mod explain;
mod filter;
mod link;
mod lint;
mod literals;
mod load;
mod lookup;
mod modifiers;

mod pattern;
mod prefilter;
mod route;
mod rule;
mod set;
mod threat_type;
mod unescape;

pub use correlation::{Bound, Comparison, Condition, Correlation, CorrelationKind};
pub use error::RuleError;
pub use evidence::Evidence;
pub use explain::{
    Cause, Explanation, Failure, FieldTest, Holds, Nearby, Operator, Selected, Selection, SourcePart, Tree,
};
pub use lint::{Warning, lint};
pub use prefilter::copied_verbatim;
pub use rule::Rule;
pub use set::{RuleMatch, RuleSet, SetAside};
