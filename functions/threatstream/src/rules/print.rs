//! Lists in the four forms: a table for people, JSON and CSV for programs. Rules and logs are others' text: none of it reaches
//! a terminal as it is.

use std::io::{self, Write as _};

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde::Serialize;

use crate::arguments::Output;
use crate::scan::text::{cell, inert, inert_json};

/// The narrowest table that can be read.
const WIDTH: u16 = 120;

/// A row of a list, as an object and as cells.
pub(super) trait Row: Serialize {
    /// The names of the cells; a table shows them in capitals.
    const COLUMNS: &'static [&'static str];
    /// The columns of a table, by name.
    const SHOWN: &'static [&'static str];
    /// Columns of a table from here on hold text that may be broken into lines.
    const PROSE: usize;

    /// The cells, in the order of the columns.
    fn cells(&self) -> Vec<String>;
}

/// Prints rows; as JSON, `whole` instead.
pub(super) fn list<R: Row>(output: Output, rows: &[R], whole: &impl Serialize) -> anyhow::Result<()> {
    match output {
        Output::Table if rows.is_empty() => {}
        Output::Table => writeln!(io::stdout(), "{}", table(rows))?,
        Output::Json => writeln!(io::stdout(), "{}", inert_json(&serde_json::to_string_pretty(whole)?))?,
        Output::Ndjson => {
            let mut out = io::stdout().lock();
            for row in rows {
                writeln!(out, "{}", inert_json(&serde_json::to_string(row)?))?;
            }
        }
        Output::Csv => {
            let mut writer = csv::Writer::from_writer(io::stdout().lock());
            writer.write_record(R::COLUMNS)?;
            for row in rows {
                writer.write_record(row.cells().iter().map(|text| cell(text)))?;
            }
            writer.flush()?;
        }
    }
    Ok(())
}

fn table<R: Row>(rows: &[R]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(R::SHOWN.iter().map(|name| name.replace('_', " ").to_uppercase()));
    let at = |name: &&str| R::COLUMNS.iter().position(|column| column == name);
    let shown: Vec<usize> = R::SHOWN.iter().filter_map(at).collect();
    if table.width().is_none_or(|width| width < WIDTH) {
        table.set_width(WIDTH);
    }
    for row in rows {
        let cells = row.cells();
        table.add_row(shown.iter().map(|column| Cell::new(inert(&cells[*column]))));
    }
    let widths = table.column_max_content_widths();
    for (column, width) in table.column_iter_mut().zip(widths).take(R::PROSE) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width.min(28) + 2)));
    }
    table
}
