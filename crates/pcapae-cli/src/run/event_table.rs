//! Events as a table for people.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};
use pcapae::monitor::Event;
use pcapae::report::timestamp;

/// How wide the table is where there is no terminal.
const WIDTH: u16 = 120;

/// The events, one a row; a column for the labels where they are known.
pub fn event_table(events: &[&Event]) -> Table {
    let labelled = events.iter().any(|event| event.anomalous.is_some());
    let mut header = vec!["no.", "time (UTC)", "what", "packets"];
    if labelled {
        header.push("attack");
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.set_header(header.into_iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    for event in events {
        table.add_row(row(event, labelled));
    }
    for column in [0, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn row(event: &Event, labelled: bool) -> Vec<Cell> {
    let seconds = event.last_ns.abs_diff(event.first_ns) as f64 / 1e9;
    let start = timestamp(event.first_ns).replace('T', " ").chars().take(19).collect::<String>();
    let time = if seconds < 1.0 { start } else { format!("{start} +{seconds:.0}s") };
    let mut row = vec![Cell::new(event.number), Cell::new(time), Cell::new(what(event)), Cell::new(event.packet_count)];
    if labelled {
        row.push(Cell::new(match event.anomalous {
            Some(0) => "no".into(),
            Some(count) if count == event.packet_count => "yes".into(),
            Some(count) => format!("{count} of {}", event.packet_count),
            None => String::from("?"),
        }));
    }
    row
}

/// The reason, and what else an operator wants to know at a glance.
pub fn what(event: &Event) -> String {
    [vec![event.reason.clone()], event.remarks()].concat().join("; ")
}
