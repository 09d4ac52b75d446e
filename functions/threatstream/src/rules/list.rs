//! `rules list`: what is loaded.

use std::time::Duration;

use serde::Serialize;
use threatstream_detection::LogSource;
use threatstream_detection::sigma::{Comparison, Condition, Correlation, CorrelationKind, Rule, RuleSet};
use threatstream_domain::{Severity, ThreatType};

use super::arguments::ListOptions;
use super::print::{Row, list as print};
use super::sources;

/// A rule or a correlation.
#[derive(Serialize)]
struct Entry<'r> {
    kind: &'static str,
    id: &'r str,
    title: &'r str,
    level: Severity,
    status: Option<&'r str>,
    logsource: &'r LogSource,
    techniques: &'r [String],
    tactics: &'r [String],
    threat_type: ThreatType,
    /// False: its matches are only counted.
    alerts: bool,
    file: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<Counted<'r>>,
}

/// What a correlation counts, and when it fires.
#[derive(Serialize)]
struct Counted<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    rules: &'r [String],
    group_by: &'r [String],
    timespan: String,
    condition: String,
}

impl Row for Entry<'_> {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "level",
        "status",
        "techniques",
        "threat_type",
        "title",
        "logsource",
        "file",
    ];
    const SHOWN: &'static [&'static str] = &["level", "threat_type", "techniques", "title", "logsource", "id"];
    const PROSE: usize = 3;

    fn cells(&self) -> Vec<String> {
        let source = match &self.correlation {
            None => sources_of(self.logsource),
            Some(own) => {
                let groups = if own.group_by.is_empty() {
                    String::new()
                } else {
                    format!(" by {}", own.group_by.join(", "))
                };
                format!("{} {} in {}{groups}", own.kind, own.condition, own.timespan)
            }
        };
        let counted = if self.alerts { "" } else { " (counted only)" };
        vec![
            self.id.to_owned(),
            self.level.to_string(),
            self.status.unwrap_or_default().to_owned(),
            self.techniques.join(" "),
            self.threat_type.to_string(),
            format!("{}{counted}", self.title),
            source,
            self.file.to_owned(),
        ]
    }
}

pub(super) fn list(options: &ListOptions) -> anyhow::Result<u8> {
    let Some(rules) = sources::load(&options.rules)? else {
        return Ok(crate::BAD_RULES);
    };
    let entries = entries(&rules);
    print(options.output, &entries, &entries)?;
    eprintln!(
        "{} rules, {} correlations, set {}",
        rules.rules().len(),
        rules.correlations().len(),
        rules.hash()
    );
    Ok(crate::CLEAN)
}

/// In the order of files: a correlation stands beside the rules it counts.
fn entries(rules: &RuleSet) -> Vec<Entry<'_>> {
    let single = rules.rules().iter().map(rule);
    let several = rules.correlations().iter().map(|own| correlation(own, rules));
    let mut entries: Vec<_> = single.chain(several).collect();
    entries.sort_by_key(|entry| (entry.file, entry.title));
    entries
}

fn rule(rule: &Rule) -> Entry<'_> {
    Entry {
        kind: "rule",
        id: &rule.id,
        title: &rule.title,
        level: rule.level,
        status: rule.status.as_deref(),
        logsource: &rule.logsource,
        techniques: &rule.techniques,
        tactics: &rule.tactics,
        threat_type: rule.threat_type,
        alerts: rule.alerts_alone,
        file: &rule.file,
        correlation: None,
    }
}

fn correlation<'r>(own: &'r Correlation, rules: &'r RuleSet) -> Entry<'r> {
    static ANY: LogSource = LogSource {
        category: None,
        product: None,
        service: None,
    };
    let base = base_rules(own, rules).first().copied();
    Entry {
        kind: "correlation",
        id: &own.id,
        title: &own.title,
        level: own.level,
        status: own.status.as_deref(),
        logsource: base.map_or(&ANY, |rule| &rule.logsource),
        techniques: &own.techniques,
        tactics: &own.tactics,
        threat_type: own.threat_type,
        alerts: own.alerts_alone,
        file: &own.file,
        correlation: Some(Counted {
            kind: own.kind.name(),
            rules: &own.rules,
            group_by: &own.group_by,
            timespan: span(own.timespan),
            condition: condition(own),
        }),
    }
}

/// The rules at the bottom of a correlation: those that it names, and those of the correlations that it names.
pub(super) fn base_rules<'r>(correlation: &Correlation, rules: &'r RuleSet) -> Vec<&'r Rule> {
    let mut found: Vec<&Rule> = Vec::new();
    // A set has no cycles of correlations.
    let mut ids: Vec<&str> = correlation.rules.iter().rev().map(String::as_str).collect();
    while let Some(id) = ids.pop() {
        if let Some(rule) = rules.rule(id) {
            if found.iter().all(|own| own.id != rule.id) {
                found.push(rule);
            }
        } else if let Some(inner) = rules.correlation(id) {
            ids.extend(inner.rules.iter().rev().map(String::as_str));
        }
    }
    found
}

/// What a correlation measures and when it fires: `user.name >= 5`, or the ids of the rules that must have matched.
pub(super) fn condition(correlation: &Correlation) -> String {
    let measured = match &correlation.kind {
        CorrelationKind::ValueCount { fields } => fields.join(", "),
        CorrelationKind::ValueSum { field }
        | CorrelationKind::ValueAverage { field }
        | CorrelationKind::ValueMedian { field } => field.clone(),
        CorrelationKind::ValuePercentile { field, percentile } => format!("{field} at {percentile}%"),
        _ => String::new(),
    };
    let text = match &correlation.condition {
        Condition::Bounds(bounds) => {
            let bounds = bounds.iter().map(|bound| format!("{} {}", sign(bound.is), bound.value));
            bounds.collect::<Vec<_>>().join(" and ")
        }
        Condition::Rules(sets) => {
            let one = |set: &u64| {
                let of_set = (0u32..)
                    .zip(&correlation.rules)
                    .filter(|(place, _)| set >> place & 1 == 1);
                of_set.map(|(_, id)| id.as_str()).collect::<Vec<_>>().join(" and ")
            };
            sets.iter().map(one).collect::<Vec<_>>().join(" or ")
        }
    };
    format!("{measured} {text}").trim().to_owned()
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Gt => ">",
        Comparison::Gte => ">=",
        Comparison::Lt => "<",
        Comparison::Lte => "<=",
        Comparison::Eq => "=",
        Comparison::Neq => "!=",
    }
}

/// `90s`, `5m`, `1h`, `7d`: in the largest unit that is exact.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let found = units
        .iter()
        .find(|(size, _)| seconds >= *size && seconds.is_multiple_of(*size));
    found.map_or_else(
        || format!("{seconds}s"),
        |(size, unit)| format!("{}{unit}", seconds / size),
    )
}

/// `product: linux, service: sshd`.
pub(super) fn sources_of(source: &LogSource) -> String {
    let parts = [
        ("category", &source.category),
        ("product", &source.product),
        ("service", &source.service),
    ];
    let named = parts
        .iter()
        .filter_map(|(name, part)| Some(format!("{name}: {}", part.as_deref()?)));
    let text = named.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "any".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_in_its_largest_exact_unit() {
        for (seconds, text) in [(60, "1m"), (90, "90s"), (5_400, "90m"), (3_600, "1h"), (604_800, "7d")] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
