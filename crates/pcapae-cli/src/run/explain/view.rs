//! An explanation on the terminal: the bytes over the colour of their relevance, and the fields that mattered most.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};
use pcapae::explain::{FieldRelevance, NameRelevance, by_name, summary};

use super::shown::Shown;

/// Bytes in a row of the dump.
const ROW: usize = 16;
/// Heat from which on a byte is coloured.
const COOL: f32 = 0.15;
/// Of the palette of 256 colours, from pale to deep: for a higher value, and for a lower one.
const REDS: [u8; 4] = [224, 217, 210, 203];
const BLUES: [u8; 4] = [189, 153, 111, 75];

/// All that is printed; colours are taken out where they cannot be seen.
pub(super) fn view(shown: &Shown) -> String {
    let explanation = shown.explanation;
    let mut text = format!("{}\n", shown.headline);
    shown.remarks.iter().for_each(|remark| text += &format!("{remark}\n"));
    let heat = explanation.heat();
    for (frame, heat) in heat.iter().enumerate() {
        if heat.iter().all(|heat| heat.abs() < COOL) && frame != shown.frame {
            text += &format!("\n{}: hardly any relevance\n", shown.frames[frame]);
            continue;
        }
        if explanation.frames() > 1 {
            text += &format!("\n{}\n", shown.frames[frame]);
        } else {
            text += "\n";
        }
        let size = heat.len();
        text += &dump(&shown.window[frame * size..(frame + 1) * size], heat);
    }
    let biases = explanation.of_biases();
    text += &format!("\nrelevance: {:+.6} on bytes", explanation.of_bytes());
    if !explanation.bias.is_empty() {
        text += &format!(", {biases:+.6} on biases and constants");
    }
    text += "\n";
    if shown.fields.is_empty() {
        text += "The dataset does not know which bytes are whose, so no field has a name.\n";
    } else {
        let table = match shown.packets_together {
            true => table_of_names(&by_name(shown.fields), shown.top),
            false => table(shown.fields, shown.top),
        };
        text += &format!("\n{table}\n");
    }
    if let Some(summary) = summary(shown.fields) {
        text += &format!("{summary}\n");
    }
    text
}

/// Offset, sixteen bytes, and the same as letters. Rows of zeros without relevance are one star.
fn dump(bytes: &[u8], heat: &[f32]) -> String {
    let mut text = String::new();
    let mut starred = false;
    for (row, (bytes, heat)) in bytes.chunks(ROW).zip(heat.chunks(ROW)).enumerate() {
        if bytes.iter().all(|byte| *byte == 0) && heat.iter().all(|heat| heat.abs() < COOL) {
            if !starred {
                text += "*\n";
            }
            starred = true;
            continue;
        }
        starred = false;
        let hex: String = bytes.iter().zip(heat).map(|(byte, heat)| coloured(&format!(" {byte:02x}"), *heat)).collect();
        let letter = |byte: u8| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' };
        let ascii: String =
            bytes.iter().zip(heat).map(|(byte, heat)| coloured(&letter(*byte).to_string(), *heat)).collect();
        let gap = " ".repeat((ROW - bytes.len()) * 3 + 2);
        text += &format!("{:04x} {hex}{gap}{ascii}\n", row * ROW);
    }
    text
}

/// Black on the colour of the heat.
fn coloured(text: &str, heat: f32) -> String {
    if heat.abs() < COOL {
        return text.to_owned();
    }
    let colours = if heat > 0.0 { REDS } else { BLUES };
    let depth = ((heat.abs() - COOL) / (1.0 - COOL) * colours.len() as f32) as usize;
    format!("\x1b[30;48;5;{}m{text}\x1b[0m", colours[depth.min(colours.len() - 1)])
}

fn table(fields: &[FieldRelevance], top: usize) -> Table {
    let row = |field: &FieldRelevance| {
        [
            field.name.clone(),
            field.packet.to_string(),
            field.offset.to_string(),
            field.length.to_string(),
            format!("{:+.6}", field.relevance),
            format!("{:.1} %", field.share * 100.0),
        ]
    };
    of_rows(["field", "packet", "offset", "bytes", "relevance", "share"], fields.iter().take(top).map(row))
}

/// The fields of all packets together.
fn table_of_names(names: &[NameRelevance], top: usize) -> Table {
    let row = |name: &NameRelevance| {
        let packets = match name.first_packet == name.last_packet {
            true => name.first_packet.to_string(),
            false => format!("{}–{}", name.first_packet, name.last_packet),
        };
        [
            name.name.clone(),
            packets,
            name.packets.to_string(),
            format!("{:+.6}", name.relevance),
            format!("{:.1} %", name.share * 100.0),
        ]
    };
    of_rows(["field", "in packets", "so many", "relevance", "share"], names.iter().take(top).map(row))
}

fn of_rows<const N: usize>(titles: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(titles.map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    table.add_rows(rows);
    for column in 1..titles.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
