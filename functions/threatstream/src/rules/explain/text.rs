//! An explanation for people. What comes from the event or the rule is others' text: it is written so that it moves no cursor.

use std::io::{self, Write};

use threatstream_detection::LogSource;
use threatstream_detection::sigma::{Cause, Explanation, Failure, FieldTest, Operator, Selected, Tree};

use super::super::list::sources_of;
use super::{Counting, Explained, Outcome};
use crate::scan::text::inert;

/// The line is shown up to so many characters, a value too.
const LINE: usize = 160;
const VALUE: usize = 80;
/// Of a list of values the first are shown.
const VALUES: usize = 6;

pub(super) fn write(out: &mut impl Write, explained: &Explained<'_>) -> io::Result<()> {
    let origin = format!("{}:{}", explained.origin.file, explained.origin.line);
    let source = if explained.logsource == LogSource::default() {
        "of no known log source".to_owned()
    } else {
        sources_of(&explained.logsource)
    };
    writeln!(out, "{}  {} ({})", inert(&origin), explained.format, inert(&source))?;
    writeln!(out, "    {}", cut(&explained.raw, LINE))?;
    for outcome in &explained.rules {
        heading(
            out,
            outcome,
            if outcome.explanation.matched {
                "matches"
            } else {
                "does not match"
            },
        )?;
        whole(out, outcome)?;
    }
    if explained.rules.is_empty() {
        writeln!(out, "  no rule matches")?;
    }
    for outcome in &explained.nearest {
        heading(out, outcome, "is near")?;
        short(out, outcome)?;
    }
    writeln!(out)
}

fn heading(out: &mut impl Write, outcome: &Outcome<'_>, verdict: &str) -> io::Result<()> {
    let level = outcome.level.to_string();
    let place = format!("{}, {}", outcome.id, outcome.file);
    writeln!(
        out,
        "  {verdict}: {} [{level}]  ({})",
        inert(outcome.title),
        inert(&place)
    )
}

/// Every selection with its tests.
fn whole(out: &mut impl Write, outcome: &Outcome<'_>) -> io::Result<()> {
    let explanation = &outcome.explanation;
    log_source(out, explanation)?;
    writeln!(out, "      condition   {}", condition(&explanation.condition, false))?;
    for selection in &explanation.selections {
        writeln!(out, "      {} {}", mark(selection.holds), inert(&selection.name))?;
        tests(out, &selection.tests, 10)?;
    }
    if !explanation.matched && !outcome.failures.is_empty() {
        writeln!(out, "      what stands in the way")?;
        failures(out, &outcome.failures)?;
    }
    for counting in &outcome.counted_by {
        counted(out, counting)?;
    }
    Ok(())
}

/// Only what stands in the way.
fn short(out: &mut impl Write, outcome: &Outcome<'_>) -> io::Result<()> {
    log_source(out, &outcome.explanation)?;
    writeln!(
        out,
        "      condition   {}",
        condition(&outcome.explanation.condition, false)
    )?;
    failures(out, &outcome.failures)
}

fn log_source(out: &mut impl Write, explanation: &Explanation) -> io::Result<()> {
    let parts = explanation.logsource.iter().map(|part| {
        let own = format!("{} {}: {}", mark(part.holds), part.part, inert(&part.wants));
        match (&part.has, part.holds) {
            (_, true) => own,
            (Some(has), false) => format!("{own}, the event is {}", inert(has)),
            (None, false) => format!("{own}, the event names none"),
        }
    });
    let parts = parts.collect::<Vec<_>>().join("   ");
    let any = if parts.is_empty() { "any" } else { &parts };
    writeln!(out, "      log source  {any}")
}

/// The condition in a line, each search identifier with what came of it.
fn condition(tree: &Tree<Selected>, inner: bool) -> String {
    match tree {
        Tree::Leaf(own) => format!("{}{}", mark(own.holds), inert(&own.selection)),
        Tree::Join { operator, of, .. } => {
            let word = match operator {
                Operator::And => " and ",
                Operator::Or => " or ",
                Operator::Not => return format!("not {}", condition(&of[0], true)),
            };
            let joined = of
                .iter()
                .map(|part| condition(part, true))
                .collect::<Vec<_>>()
                .join(word);
            if inner { format!("({joined})") } else { joined }
        }
    }
}

fn tests(out: &mut impl Write, tree: &Tree<FieldTest>, indent: usize) -> io::Result<()> {
    match tree {
        Tree::Leaf(test) => writeln!(out, "{:indent$}{} {}", "", mark(test.holds), described(test)),
        Tree::Join { operator, of, holds } => {
            let deeper = if *operator == Operator::And {
                indent
            } else {
                let words = if *operator == Operator::Or { "one of" } else { "not" };
                writeln!(out, "{:indent$}{} {words}", "", mark(*holds))?;
                indent + 4
            };
            for part in of {
                tests(out, part, deeper)?;
                // Alternatives of several tests each are told apart.
                if *operator == Operator::Or
                    && matches!(part, Tree::Join { .. })
                    && !std::ptr::eq(part, &of[of.len() - 1])
                {
                    writeln!(out, "{:deeper$}or", "")?;
                }
            }
            Ok(())
        }
    }
}

fn failures(out: &mut impl Write, failures: &[Failure]) -> io::Result<()> {
    for failure in failures {
        let what = match failure.cause {
            Cause::Missing => "missing ",
            Cause::Differs => "differs ",
            Cause::Excluded => "excluded",
        };
        let place = inert(&failure.selection);
        writeln!(out, "          {what}  {place}: {}", described(&failure.test))?;
    }
    Ok(())
}

/// `CommandLine|contains wants '-enc', has 'cmd.exe /c dir'`.
fn described(test: &FieldTest) -> String {
    let has = if test.present {
        format!("has {}", values(&test.has))
    } else {
        "the event has no such field".to_owned()
    };
    format!("{} wants {}, {has}", inert(&test.field), values(&test.wants))
}

fn counted(out: &mut impl Write, own: &Counting<'_>) -> io::Result<()> {
    let groups = own.group_by.iter().map(|(field, value)| match value {
        Some(value) => format!("{} '{}'", inert(field), cut(value, VALUE)),
        None => format!("{} (the event has none: it counts in no window)", inert(field)),
    });
    let groups = groups.collect::<Vec<_>>().join(", ");
    let by = if groups.is_empty() {
        String::new()
    } else {
        format!(" by {groups}")
    };
    let condition = inert(&own.condition);
    let title = inert(own.title);
    writeln!(
        out,
        "      counts for  {title}: {} {condition} in {}{by}",
        own.kind, own.timespan
    )
}

fn values(values: &[String]) -> String {
    let quoted = values
        .iter()
        .take(VALUES)
        .map(|value| format!("'{}'", cut(value, VALUE)));
    let mut text = quoted.collect::<Vec<_>>().join(", ");
    match values.len() {
        0 => text.push_str("nothing"),
        count if count > VALUES => text.push_str(&format!(" and {} more", count - VALUES)),
        _ => {}
    }
    text
}

fn mark(holds: bool) -> char {
    if holds { '✓' } else { '✗' }
}

fn cut(text: &str, characters: usize) -> String {
    let mut shown: String = text.chars().take(characters).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    inert(&shown)
}
