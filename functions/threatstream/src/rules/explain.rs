//! `rules explain`: what the rules make of events, one by one, and why.

mod text;

use std::io::{self, Write as _};

use anyhow::bail;
use serde::Serialize;
use threatstream_detection::decode::{Format, decode};
use threatstream_detection::sigma::{Correlation, Explanation, Failure, Rule, RuleSet};
use threatstream_detection::{Event, LogSource};
use threatstream_domain::{Clock, Severity, Timestamp};

use super::arguments::{ExplainOptions, ExplainOutput};
use super::list::{base_rules, condition, span};
use super::sources;
use crate::scan::text::inert_json;
use crate::scan::{Origin, input};

/// An event and what came of the rules.
#[derive(Serialize)]
struct Explained<'r> {
    origin: Origin,
    format: &'static str,
    logsource: LogSource,
    #[serde(skip)]
    raw: String,
    /// The rules that match; with `--rule`, that rule whatever came of it, or those that the correlation counts.
    rules: Vec<Outcome<'r>>,
    /// The rules that come nearest to matching.
    nearest: Vec<Outcome<'r>>,
}

/// A rule, and what came of it.
#[derive(Serialize)]
struct Outcome<'r> {
    id: &'r str,
    title: &'r str,
    level: Severity,
    file: &'r str,
    #[serde(flatten)]
    explanation: Explanation,
    /// What keeps its condition from holding.
    failures: Vec<Failure>,
    /// The correlations that count its matches, and the window that this event belongs to.
    counted_by: Vec<Counting<'r>>,
}

#[derive(Serialize)]
struct Counting<'r> {
    id: &'r str,
    title: &'r str,
    #[serde(rename = "type")]
    kind: &'static str,
    condition: String,
    timespan: String,
    /// Null where the event has no such field: it belongs to no window then.
    group_by: Vec<(&'r str, Option<String>)>,
}

/// What is asked about.
enum Asked<'r> {
    All { nearest: usize },
    These(Vec<&'r Rule>),
}

pub(super) fn explain(options: &ExplainOptions) -> anyhow::Result<u8> {
    let Some(rules) = sources::load(&options.rules)? else {
        return Ok(crate::BAD_RULES);
    };
    let asked = match &options.rule {
        Some(wanted) => Asked::These(named(wanted, &rules)?),
        None => Asked::All {
            nearest: usize::from(options.nearest),
        },
    };
    let now = Clock::system().now();
    let mut printed = 0;
    let mut out = io::stdout().lock();
    input::read(&options.event, &mut |event| {
        let Some(raw) = event.raw else {
            eprintln!(
                "{}:{}: longer than an event may be",
                event.origin.file, event.origin.line
            );
            return Ok(());
        };
        let explained = one(event.origin, raw, options.format, now, &rules, &asked);
        match options.output {
            ExplainOutput::Text => text::write(&mut out, &explained)?,
            ExplainOutput::Ndjson => writeln!(out, "{}", inert_json(&serde_json::to_string(&explained)?))?,
            ExplainOutput::Json => {
                let separator = if printed == 0 { "[\n" } else { ",\n" };
                let json = inert_json(&serde_json::to_string_pretty(&explained)?);
                write!(out, "{separator}{json}")?;
            }
        }
        printed += 1;
        Ok(())
    })?;
    if options.output == ExplainOutput::Json {
        writeln!(out, "{}", if printed == 0 { "[]" } else { "\n]" })?;
    }
    Ok(crate::CLEAN)
}

/// The rule of this id, name or title, or those that the correlation of it counts.
fn named<'r>(wanted: &str, rules: &'r RuleSet) -> anyhow::Result<Vec<&'r Rule>> {
    let is_it = |id: &str, name: Option<&str>, title: &str| id == wanted || name == Some(wanted) || title == wanted;
    let own = rules
        .rules()
        .iter()
        .find(|rule| is_it(&rule.id, rule.name.as_deref(), &rule.title));
    if let Some(rule) = own {
        return Ok(vec![rule]);
    }
    let counting = rules
        .correlations()
        .iter()
        .find(|own| is_it(&own.id, own.name.as_deref(), &own.title));
    match counting {
        Some(correlation) => Ok(base_rules(correlation, rules)),
        None => bail!("no rule or correlation has the id, name or title {wanted:?}; `rules list` names them"),
    }
}

fn one<'r>(
    origin: Origin,
    raw: String,
    format: Format,
    now: Timestamp,
    rules: &'r RuleSet,
    asked: &Asked<'r>,
) -> Explained<'r> {
    let event = decode(&raw, format, now);
    let outcome = |rule| outcome(rule, rules.explain(rule, &event), rules, &event);
    let (found, nearest) = match asked {
        Asked::These(these) => (these.iter().copied().map(outcome).collect(), Vec::new()),
        Asked::All { nearest } => {
            let found = rules.matches(&event).into_iter().map(|found| outcome(found.rule));
            let near = rules.nearest(&event, *nearest).into_iter();
            (
                found.collect(),
                near.map(|near| self::outcome(near.rule, near.explanation, rules, &event))
                    .collect(),
            )
        }
    };
    Explained {
        origin,
        format: event.format,
        logsource: event.logsource.clone(),
        rules: found,
        nearest,
        raw,
    }
}

fn outcome<'r>(rule: &'r Rule, explanation: Explanation, rules: &'r RuleSet, event: &Event<'_>) -> Outcome<'r> {
    Outcome {
        id: &rule.id,
        title: &rule.title,
        level: rule.level,
        file: &rule.file,
        failures: explanation.failures(),
        explanation,
        counted_by: rules
            .correlations_of(rule)
            .map(|own| counted(own, rule, event))
            .collect(),
    }
}

fn counted<'r>(correlation: &'r Correlation, rule: &Rule, event: &Event<'_>) -> Counting<'r> {
    let value = |field: &'r String| {
        let own = correlation.field(field, &rule.id);
        let text = event.field(own).and_then(threatstream_detection::Value::text);
        (field.as_str(), text.map(std::borrow::Cow::into_owned))
    };
    Counting {
        id: &correlation.id,
        title: &correlation.title,
        kind: correlation.kind.name(),
        condition: condition(correlation),
        timespan: span(correlation.timespan),
        group_by: correlation.group_by.iter().map(value).collect(),
    }
}
