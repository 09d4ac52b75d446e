//! Rules about several events: what they read and when they fire. The windows are kept elsewhere.

use std::time::Duration;

use threatstream_domain::{Severity, ThreatType};

use super::error::RuleError;
use super::rule::{Header, text, texts};
use crate::yaml::Node;

/// What a correlation counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorrelationKind {
    /// Matching events.
    EventCount,
    /// Different values of a field among matching events.
    ValueCount {
        /// The field.
        field: String,
    },
}

/// A rule about several events in a window of event time.
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
    /// Ids of the rules whose matches it counts, each once.
    pub rules: Vec<String>,
    /// Fields whose values keep windows apart; empty: one window for all.
    pub group_by: Vec<String>,
    /// How long a window is.
    pub timespan: Duration,
    /// What it counts.
    pub kind: CorrelationKind,
    /// The smallest count that satisfies its condition, at least 1.
    pub threshold: u64,
    /// Whether its rules are threats by themselves too.
    pub generate: bool,
}

/// A correlation as it stands in its document, before its rules are found.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) header: Header,
    pub(super) rules: Vec<String>,
    pub(super) generate: bool,
    pub(super) group_by: Vec<String>,
    pub(super) timespan: Duration,
    pub(super) kind: CorrelationKind,
    pub(super) threshold: u64,
}

/// The rules that a correlation names, and whether it leaves them threats by themselves, even if the rest of it does not
/// load: rules made to be counted must not flood when their counting fails.
pub(super) fn references(node: &Node) -> (Vec<String>, bool) {
    let Some(section) = node.get("correlation") else {
        return (Vec::new(), true);
    };
    (
        texts(section, "rules").unwrap_or_default(),
        generate(node, section).unwrap_or(false),
    )
}

fn generate(node: &Node, section: &Node) -> Result<bool, RuleError> {
    match section.get("generate").or_else(|| node.get("generate")) {
        None | Some(Node::Null) => Ok(false),
        Some(Node::Bool(generate)) => Ok(*generate),
        Some(other) => Err(wrong("generate", format!("{} instead of true or false", other.kind()))),
    }
}

fn wrong(attribute: &str, reason: impl Into<String>) -> RuleError {
    RuleError::attribute(format!("correlation.{attribute}"), reason)
}

impl Draft {
    pub(super) fn read(node: &Node, digest: &str) -> Result<Self, RuleError> {
        let header = Header::read(node, digest)?;
        let section = node.get("correlation").unwrap_or(&Node::Null);
        let Node::Map(entries) = section else {
            return Err(RuleError::attribute("correlation", "is no map"));
        };
        const KNOWN: [&str; 7] = [
            "type",
            "rules",
            "group-by",
            "timespan",
            "condition",
            "generate",
            "aliases",
        ];
        if let Some((key, _)) = entries.iter().find(|(key, _)| !KNOWN.contains(&key.as_str())) {
            return Err(wrong(key, "is unknown"));
        }
        let rules = texts(section, "rules")?;
        if rules.is_empty() {
            return Err(wrong("rules", "is missing"));
        }
        if section.get("aliases").is_some_and(|aliases| *aliases != Node::Null) {
            return Err(RuleError::Unsupported(
                "`correlation.aliases` is not evaluated yet".to_owned(),
            ));
        }
        let kind = text(section, "type")?.ok_or_else(|| wrong("type", "is missing"))?;
        let value_count = match kind.as_str() {
            "event_count" => false,
            "value_count" => true,
            "temporal" | "temporal_ordered" | "value_sum" | "value_avg" | "value_percentile" | "value_median" => {
                return Err(RuleError::Unsupported(format!(
                    "correlations of type `{kind}` are not evaluated yet"
                )));
            }
            other => return Err(wrong("type", format!("`{other}` is unknown"))),
        };
        let (threshold, field) = condition(section)?;
        let kind = match (value_count, field) {
            (false, None) => CorrelationKind::EventCount,
            (false, Some(_)) => return Err(wrong("condition.field", "does not go with `event_count`")),
            (true, Some(field)) => CorrelationKind::ValueCount { field },
            (true, None) => return Err(wrong("condition.field", "is missing, and `value_count` needs it")),
        };
        let timespan = text(section, "timespan")?.ok_or_else(|| wrong("timespan", "is missing"))?;
        Ok(Self {
            header,
            rules,
            generate: generate(node, section)?,
            group_by: texts(section, "group-by")?,
            timespan: duration(&timespan).map_err(|reason| wrong("timespan", reason))?,
            kind,
            threshold,
        })
    }
}

/// The smallest count that satisfies the condition, and the field it names.
fn condition(section: &Node) -> Result<(u64, Option<String>), RuleError> {
    let entries = match section.get("condition") {
        Some(Node::Map(entries)) => entries,
        Some(other) => return Err(wrong("condition", format!("{} instead of a map", other.kind()))),
        None => return Err(wrong("condition", "is missing")),
    };
    let (mut threshold, mut field) = (None, None);
    for (key, value) in entries {
        match (key.as_str(), value) {
            ("field", value) => {
                let name = value.text().filter(|name| !name.is_empty());
                field = Some(
                    name.ok_or_else(|| wrong("condition.field", "is no name of a field"))?
                        .to_owned(),
                );
            }
            ("lt" | "lte" | "neq", _) => {
                let reason =
                    format!("`{key}` in a correlation: a window that is still open cannot decide an upper bound");
                return Err(RuleError::Unsupported(reason));
            }
            ("gt" | "gte" | "eq", Node::Int(count, _)) => {
                let count = u64::try_from(*count).map_err(|_| wrong(&format!("condition.{key}"), "is negative"))?;
                if threshold.is_some() {
                    return Err(RuleError::Unsupported(
                        "several bounds in a correlation's condition".to_owned(),
                    ));
                }
                threshold = Some(if key == "gt" { count.saturating_add(1) } else { count });
            }
            ("gt" | "gte" | "eq", other) => {
                return Err(wrong(
                    &format!("condition.{key}"),
                    format!("{} instead of a whole number", other.kind()),
                ));
            }
            (other, _) => return Err(wrong("condition", format!("`{other}` is unknown"))),
        }
    }
    match threshold {
        None => Err(wrong("condition", "has none of `gte`, `gt` and `eq`")),
        Some(0) => Err(wrong("condition", "is satisfied by nothing having happened")),
        Some(threshold) => Ok((threshold, field)),
    }
}

/// `15s`, `5m`, `1h`, `7d`, `2w`.
fn duration(text: &str) -> Result<Duration, String> {
    let unit = match text.bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => 86_400,
        Some(b'w') => 604_800,
        _ => return Err(format!("`{text}` does not end in s, m, h, d or w")),
    };
    let digits = &text[..text.len() - 1];
    let count = if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse::<u64>().ok()
    } else {
        None
    };
    match count.and_then(|count| count.checked_mul(unit)) {
        Some(0) => Err(format!("`{text}` is no time at all")),
        // Ten years: beyond, sums with times of events would leave the calendar.
        Some(seconds) if seconds <= 315_360_000 => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(format!("`{text}` is longer than ten years")),
        None => Err(format!("`{text}` has no number before its unit")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("90m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("2w"), Ok(Duration::from_secs(1_209_600)));
        for text in [
            "",
            "m",
            "5",
            "-5m",
            "0s",
            "5M",
            "99999999999999999999d",
            "1.5h",
            "5 m",
            "99999w",
            "5é",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
