//! Reading a correlation's document, before its rules are found.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::error::RuleError;
use super::super::rule::{Header, text, texts};
use super::CorrelationKind;
use super::condition::{self, Condition, Read};
use crate::yaml::Node;

/// A correlation as it stands in its document, before its rules are found.
#[derive(Debug)]
pub(in crate::sigma) struct Draft {
    pub(in crate::sigma) header: Header,
    /// As it names them, each once.
    pub(in crate::sigma) rules: Vec<String>,
    pub(in crate::sigma) generate: bool,
    pub(in crate::sigma) group_by: Vec<String>,
    /// For each alias, the field in the events of a rule, by the rule as it names it.
    pub(in crate::sigma) aliases: BTreeMap<String, BTreeMap<String, String>>,
    pub(in crate::sigma) timespan: Duration,
    pub(in crate::sigma) kind: CorrelationKind,
    pub(in crate::sigma) condition: Condition,
}

/// The rules that a correlation names, and whether it leaves them threats by themselves, even if the rest of it does not
/// load: rules made to be counted must not flood when their counting fails.
pub(in crate::sigma) fn references(node: &Node) -> (Vec<String>, bool) {
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

pub(super) fn wrong(attribute: &str, reason: impl Into<String>) -> RuleError {
    RuleError::attribute(format!("correlation.{attribute}"), reason)
}

impl Draft {
    pub(in crate::sigma) fn read(node: &Node, digest: &str) -> Result<Self, RuleError> {
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
        let name = text(section, "type")?.ok_or_else(|| wrong("type", "is missing"))?;
        let is_ordered = name == "temporal_ordered";
        let is_temporal = is_ordered || name == "temporal";
        let mut rules: Vec<String> = Vec::new();
        for rule in texts(section, "rules")? {
            if !rules.contains(&rule) {
                rules.push(rule);
            } else if is_ordered {
                return Err(RuleError::Unsupported(format!(
                    "an order in which the rule `{rule}` comes twice"
                )));
            }
        }
        if rules.is_empty() {
            return Err(wrong("rules", "is missing"));
        }
        let timespan = text(section, "timespan")?.ok_or_else(|| wrong("timespan", "is missing"))?;
        let timespan = duration(&timespan).map_err(|reason| wrong("timespan", reason))?;
        let read = condition::read(section, is_temporal, &rules)?;
        let kind = kind(&name, &read)?;
        condition::check(&read.condition, &kind, rules.len())?;
        Ok(Self {
            header,
            generate: generate(node, section)?,
            group_by: texts(section, "group-by")?,
            aliases: aliases(section)?,
            timespan,
            kind,
            condition: read.condition,
            rules,
        })
    }
}

fn kind(name: &str, read: &Read) -> Result<CorrelationKind, RuleError> {
    let fields = || {
        let fields = read.fields.clone();
        if fields.is_empty() {
            Err(wrong("condition.field", format!("is missing, and `{name}` needs it")))
        } else {
            Ok(fields)
        }
    };
    let field = || match fields()?.as_slice() {
        [field] => Ok(field.clone()),
        _ => Err(wrong(
            "condition.field",
            format!("several fields do not go with `{name}`"),
        )),
    };
    let kind = match name {
        "event_count" => CorrelationKind::EventCount,
        "temporal" => CorrelationKind::Temporal { ordered: false },
        "temporal_ordered" => CorrelationKind::Temporal { ordered: true },
        "value_count" => CorrelationKind::ValueCount { fields: fields()? },
        "value_sum" => CorrelationKind::ValueSum { field: field()? },
        "value_avg" => CorrelationKind::ValueAverage { field: field()? },
        "value_median" => CorrelationKind::ValueMedian { field: field()? },
        "value_percentile" => CorrelationKind::ValuePercentile {
            field: field()?,
            // Which percentile is meant is not to be guessed.
            percentile: read
                .percentile
                .ok_or_else(|| wrong("condition.percentile", "is missing: a number from 0 to 100"))?,
        },
        other => return Err(wrong("type", format!("`{other}` is unknown"))),
    };
    if !read.fields.is_empty() && matches!(kind, CorrelationKind::EventCount | CorrelationKind::Temporal { .. }) {
        return Err(wrong("condition.field", format!("does not go with `{name}`")));
    }
    if read.percentile.is_some() && !matches!(kind, CorrelationKind::ValuePercentile { .. }) {
        return Err(wrong("condition.percentile", format!("does not go with `{name}`")));
    }
    Ok(kind)
}

fn aliases(section: &Node) -> Result<BTreeMap<String, BTreeMap<String, String>>, RuleError> {
    let entries = match section.get("aliases") {
        None | Some(Node::Null) => return Ok(BTreeMap::new()),
        Some(Node::Map(entries)) => entries,
        Some(other) => return Err(wrong("aliases", format!("{} instead of a map", other.kind()))),
    };
    let mut aliases = BTreeMap::new();
    for (alias, fields) in entries {
        let attribute = format!("aliases.{alias}");
        let Node::Map(fields) = fields else {
            return Err(wrong(&attribute, format!("{} instead of a map", fields.kind())));
        };
        let field = |(rule, field): &(String, Node)| {
            let name = field.text().map(str::trim).filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| wrong(&format!("{attribute}.{rule}"), "is no name of a field"))?;
            Ok((rule.clone(), name.to_owned()))
        };
        aliases.insert(alias.clone(), fields.iter().map(field).collect::<Result<_, _>>()?);
    }
    Ok(aliases)
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
