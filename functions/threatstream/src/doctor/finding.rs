//! What was found, and how it is printed.

use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::arguments::DoctorOutput;

/// The narrowest table that can be read.
const WIDTH: u16 = 120;

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// Wrong, or not reached.
    Failed,
    /// Not looked at, and the detail says why.
    LeftOut,
}

/// One part.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    status: Status,
    /// How long the part took to answer, in milliseconds; null where nothing was asked.
    latency_ms: Option<f64>,
    detail: String,
    /// What to do.
    advice: Option<&'static str>,
}

impl Finding {
    fn new(check: &'static str, status: Status, detail: impl Into<String>) -> Self {
        Self {
            check,
            status,
            latency_ms: None,
            detail: detail.into(),
            advice: None,
        }
    }

    pub(super) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, detail)
    }

    pub(super) fn failed(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Status::Failed, detail)
    }

    pub(super) fn left_out(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Status::LeftOut, detail)
    }

    pub(super) fn took(mut self, latency: Duration) -> Self {
        self.latency_ms = Some((latency.as_secs_f64() * 1_000_000.0).round() / 1000.0);
        self
    }

    pub(super) fn advise(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }
}

/// Everything that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    status: Status,
    checks: Vec<Finding>,
}

impl Report {
    pub(super) fn new(checks: Vec<Finding>) -> Self {
        let failed = checks.iter().any(|finding| finding.status == Status::Failed);
        Self {
            status: if failed { Status::Failed } else { Status::Ok },
            checks,
        }
    }

    pub(super) fn is_well(&self) -> bool {
        self.status == Status::Ok
    }

    pub(super) fn print(&self, output: DoctorOutput) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match output {
            DoctorOutput::Json => writeln!(out, "{}", serde_json::to_string_pretty(self)?),
            DoctorOutput::Table => writeln!(out, "{}", self.table()),
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table
            .load_preset(presets::UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic);
        if table.width().is_none_or(|width| width < WIDTH) {
            table.set_width(WIDTH);
        }
        table.set_header(["CHECK", "STATUS", "MS", "DETAIL"]);
        for finding in &self.checks {
            let (word, colour) = match finding.status {
                Status::Ok => ("ok", Color::Green),
                Status::Failed => ("failed", Color::Red),
                Status::LeftOut => ("left out", Color::DarkGrey),
            };
            let detail = match (finding.advice, finding.status) {
                (Some(advice), Status::Failed | Status::LeftOut) => format!("{}\n→ {advice}", inert(&finding.detail)),
                _ => inert(&finding.detail),
            };
            table.add_row([
                Cell::new(finding.check),
                Cell::new(word).fg(colour),
                Cell::new(finding.latency_ms.map(|ms| format!("{ms:.1}")).unwrap_or_default()),
                Cell::new(detail),
            ]);
        }
        table
    }
}

/// What a server said, without what would move a terminal's cursor.
fn inert(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
