//! Printing threats: a table for people, JSON and CSV for programs.

use std::io::{self, StdoutLock, Write};

use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};
use threatstream_domain::Severity;

use super::Finding;
use super::text::{cell, inert, inert_json};
use crate::arguments::Output;

/// Prints what it is given, as it is given where the form allows.
pub(crate) struct Printer {
    min_level: Severity,
    form: Form,
    printed: u64,
}

enum Form {
    Table(Box<Table>),
    Json,
    Ndjson,
    Csv(Box<csv::Writer<StdoutLock<'static>>>),
}

/// The narrowest table that can be read.
const WIDTH: u16 = 120;
/// Columns from here on hold text that may be broken into lines.
const PROSE: usize = 6;

const COLUMNS: [&str; 8] = [
    "TIME",
    "SEVERITY",
    "TYPE",
    "SOURCE",
    "TECHNIQUE",
    "EVENTS",
    "DESCRIPTION",
    "ORIGIN",
];

impl Printer {
    pub(crate) fn new(output: Output, min_level: Severity) -> io::Result<Self> {
        let form = match output {
            Output::Table => {
                let mut table = Table::new();
                table
                    .load_preset(presets::UTF8_FULL_CONDENSED)
                    .set_content_arrangement(ContentArrangement::Dynamic);
                table.set_header(COLUMNS);
                // A terminal that does not say how wide it is, or that is too narrow for a table, gets one of this width.
                if table.width().is_none_or(|width| width < WIDTH) {
                    table.set_width(WIDTH);
                }
                Form::Table(Box::new(table))
            }
            Output::Json => {
                io::stdout().write_all(b"[")?;
                Form::Json
            }
            Output::Ndjson => Form::Ndjson,
            Output::Csv => {
                let mut writer = csv::Writer::from_writer(io::stdout().lock());
                writer.write_record([
                    "id",
                    "timestamp",
                    "severity",
                    "threat_type",
                    "risk_score",
                    "source_ip",
                    "user",
                    "host",
                    "mitre_attack_id",
                    "event_count",
                    "description",
                    "rule_ids",
                    "suppressed",
                    "file",
                    "line",
                ])?;
                Form::Csv(Box::new(writer))
            }
        };
        Ok(Self {
            min_level,
            form,
            printed: 0,
        })
    }

    pub(crate) fn print(&mut self, finding: &Finding) -> anyhow::Result<()> {
        if finding.threat.severity < self.min_level {
            return Ok(());
        }
        match &mut self.form {
            Form::Table(table) => {
                table.add_row(row(finding));
            }
            Form::Json | Form::Ndjson => {
                let separator = match (&self.form, self.printed) {
                    (Form::Json, 0) => "\n",
                    (Form::Json, _) => ",\n",
                    _ => "",
                };
                let end = if matches!(self.form, Form::Ndjson) { "\n" } else { "" };
                let json = inert_json(&serde_json::to_string(finding)?);
                write!(io::stdout(), "{separator}{json}{end}")?;
            }
            Form::Csv(writer) => writer.write_record(record(finding))?,
        }
        self.printed += 1;
        Ok(())
    }

    /// How many were printed.
    pub(crate) fn finish(self) -> anyhow::Result<u64> {
        match self.form {
            Form::Table(mut table) if self.printed > 0 => {
                // Only what is prose may be broken into lines.
                let widths = table.column_max_content_widths();
                for (column, width) in table.column_iter_mut().zip(widths).take(PROSE) {
                    column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width.min(40) + 2)));
                }
                writeln!(io::stdout(), "{table}")?;
            }
            Form::Json => writeln!(io::stdout(), "\n]")?,
            Form::Csv(mut writer) => writer.flush()?,
            Form::Table(_) | Form::Ndjson => {}
        }
        Ok(self.printed)
    }
}

fn row(finding: &Finding) -> Vec<Cell> {
    let threat = &finding.threat;
    let colour = match threat.severity {
        Severity::Critical => Color::Magenta,
        Severity::High => Color::Red,
        Severity::Medium => Color::Yellow,
        Severity::Low => Color::Cyan,
        Severity::Info => Color::Grey,
    };
    let severity = if finding.suppressed {
        format!("{} suppressed", threat.severity)
    } else {
        threat.severity.to_string()
    };
    vec![
        Cell::new(threat.timestamp.to_string().replace(".000Z", "Z")),
        Cell::new(severity).fg(colour),
        Cell::new(threat.threat_type),
        Cell::new(inert(threat.source_ip.as_deref().unwrap_or("-"))),
        Cell::new(inert(threat.mitre_attack_id.as_deref().unwrap_or("-"))),
        Cell::new(threat.event_count),
        Cell::new(inert(&threat.description)),
        Cell::new(inert(&format!("{}:{}", finding.origin.file, finding.origin.line))),
    ]
}

fn record(finding: &Finding) -> Vec<String> {
    let threat = &finding.threat;
    let optional = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
    vec![
        threat.id.clone(),
        threat.timestamp.to_string(),
        threat.severity.to_string(),
        threat.threat_type.to_string(),
        threat.risk_score.to_string(),
        optional(&threat.source_ip),
        optional(&threat.user),
        optional(&threat.host),
        optional(&threat.mitre_attack_id),
        threat.event_count.to_string(),
        cell(&threat.description),
        cell(&threat.rule_ids.join(" ")),
        finding.suppressed.to_string(),
        cell(&finding.origin.file),
        finding.origin.line.to_string(),
    ]
}
