//! Events as a table for people.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};
use pcapae::monitor::{Alert, Event};
use pcapae::report::timestamp;

/// The events, one a row; a column for the labels where they are known.
pub fn event_table(events: &[&Event]) -> Table {
    let labelled = events.iter().any(|event| event.anomalous.is_some());
    let mut header = vec!["no.", "time (UTC)", "packets", "alerts", "from", "to", "protocol", "score", "by"];
    if labelled {
        header.push("attack");
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.into_iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    for event in events {
        table.add_row(row(event, labelled));
    }
    for column in [0, 3, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn row(event: &Event, labelled: bool) -> Vec<Cell> {
    let conversation = &event.peak.conversation;
    let seconds = event.last_ns.abs_diff(event.first_ns) as f64 / 1e9;
    let start = timestamp(event.first_ns).replace('T', " ").chars().take(19).collect::<String>();
    let time = if seconds < 1.0 { start } else { format!("{start} +{seconds:.0}s") };
    let packets = match (event.packets.first(), event.packets.last()) {
        (Some(first), Some(last)) if first != last => format!("{first}–{last}"),
        (Some(first), _) => first.to_string(),
        _ => String::new(),
    };
    let to = match event.hosts {
        0..=2 => conversation.destination.to_string(),
        hosts => format!("{} (of {hosts} hosts)", conversation.destination),
    };
    let protocol = match conversation.service {
        Some(service) => format!("{} {service}", conversation.protocol),
        None => conversation.protocol.to_string(),
    };
    let mut row = vec![
        Cell::new(event.number),
        Cell::new(time),
        Cell::new(packets),
        Cell::new(event.packets.len()),
        Cell::new(conversation.source),
        Cell::new(to),
        Cell::new(protocol),
        Cell::new(format!("{:.1}×", event.peak.multiple())),
        Cell::new(by(&event.peak)),
    ];
    if labelled {
        row.push(Cell::new(match event.anomalous {
            Some(0) => "no".into(),
            Some(count) if count == event.packets.len() => "yes".into(),
            Some(count) => format!("{count} of {}", event.packets.len()),
            None => String::from("?"),
        }));
    }
    row
}

/// What raised the alert, and the shares of the detectors, the largest first: `packet: histograms 71 %, autoencoder 29 %`.
fn by(alert: &Alert) -> String {
    let fired = alert.trigger.name();
    let mut shares = alert.shares.clone();
    if shares.len() < 2 {
        return fired.to_owned();
    }
    shares.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let shares: Vec<String> = shares.iter().map(|(name, share)| format!("{} {:.0} %", name, share * 100.0)).collect();
    format!("{fired}: {}", shares.join(", "))
}
