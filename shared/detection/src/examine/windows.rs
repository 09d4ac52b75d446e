//! Into which windows an event goes.

use threatstream_domain::truncated;

use super::{NAME_BYTES, NOBODY, canonical, of_correlation};
use crate::event::Event;
use crate::found::{Counts, Feed, Measure, Window};
use crate::sigma::{Correlation, CorrelationKind, RuleSet};

/// Between the values of several fields that are counted together: no log line has it.
const SEPARATOR: char = '\u{1f}';

/// The window of a correlation that an event goes into by a rule (or an inner correlation) of this id; `None`: the event lacks a
/// field that groups or is measured, and belongs to no window.
pub(super) fn window(rules: &RuleSet, correlation: &Correlation, by: &str, event: &Event<'_>) -> Option<Window> {
    let value = |field: &str| {
        let text = event.field(correlation.field(field, by))?.text()?;
        // An address that is written in another way, as `::ffff:203.0.113.7`, is the same group.
        Some(canonical(&text).unwrap_or_else(|| truncated(&text, NAME_BYTES).to_owned()))
    };
    let number = |field: &str, measure: Measure| {
        let number = event.field(correlation.field(field, by))?.number();
        let value = number.filter(|number| number.is_finite())?;
        let field = field.to_owned();
        Some(Counts::Number { field, value, measure })
    };
    let group = correlation
        .group_by
        .iter()
        .map(|field| Some((field.clone(), value(field)?)))
        .collect::<Option<_>>()?;
    let counts = match &correlation.kind {
        CorrelationKind::EventCount => Counts::Event,
        CorrelationKind::ValueCount { fields } => {
            let values: Vec<String> = fields.iter().map(|field| value(field)).collect::<Option<_>>()?;
            Counts::Value {
                field: fields.join(", "),
                value: values.join(&SEPARATOR.to_string()),
            }
        }
        CorrelationKind::ValueSum { field } => number(field, Measure::Sum)?,
        CorrelationKind::ValueAverage { field } => number(field, Measure::Average)?,
        CorrelationKind::ValueMedian { field } => number(field, Measure::Percentile(50.0))?,
        CorrelationKind::ValuePercentile { field, percentile } => number(field, Measure::Percentile(*percentile))?,
        CorrelationKind::Temporal { ordered } => Counts::Rule {
            step: u8::try_from(correlation.step(by)?).ok()?,
            steps: u8::try_from(correlation.rules.len()).ok()?,
            ordered: *ordered,
        },
    };
    let feeds = rules.correlations_over(correlation).filter_map(|outer| {
        let window = window(rules, outer, &correlation.id, event)?;
        Some(Feed {
            verdict: of_correlation(outer),
            entity: entity_of(&window),
            window,
        })
    });
    Some(Window {
        counts,
        condition: correlation.condition.clone(),
        timespan_seconds: correlation.timespan.as_secs().max(1),
        group,
        alone: correlation.alerts_alone,
        feeds: feeds.collect(),
    })
}

/// Whom a window is about: the values that group it.
pub(super) fn entity_of(window: &Window) -> String {
    let values: Vec<&str> = window.group.iter().map(|(_, value)| value.as_str()).collect();
    let entity = values.join(" ");
    if entity.is_empty() { NOBODY.to_owned() } else { entity }
}
