//! What is in captures, as one page that needs no network and no other file.

use super::{InspectionTable, inspection_figure, inspection_tables};
use crate::inspect::Inspection;
use crate::{Error, Result};

/// Light and dark, on screens and paper, narrow and wide.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.45 system-ui,sans-serif;margin:2rem auto;padding:0 1rem;max-width:76rem}\
h1{font-size:1.6rem}h2{font-size:1.15rem;margin:1.6rem 0 .4rem}\
img{max-width:100%;height:auto;background:#fff;border-radius:6px}\
.wide{overflow-x:auto}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #8884;white-space:nowrap}\
th:first-child,td:first-child{text-align:left;font-weight:normal}\
p.note,li{color:#666}\
@media(prefers-color-scheme:dark){p.note,li{color:#aaa}}\
@media print{body{margin:0}}";

/// The page of one inspection, or of two side by side: tables, the image, and what was wrong with the captures. Panics without an inspection.
pub fn inspection_page(inspections: &[&Inspection]) -> Result<String> {
    let png = inspection_figure(inspections)?.png().map_err(Error::unwritable("picture of captures"))?;
    let title = match inspections {
        [_] => "What is in the captures",
        _ => "Two sets of captures side by side",
    };
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    page += "<img alt=\"Packets over time, lengths of packets, values of bytes and services; the numbers are in the tables\" src=\"data:image/png;base64,";
    page += &base64(&png);
    page += "\">\n";
    page.extend(inspection_tables(inspections).iter().map(table));
    let warnings: Vec<String> = inspections
        .iter()
        .flat_map(|i| &i.captures.warnings)
        .map(|warning| format!("<li>{}</li>\n", escaped(&warning.to_string())))
        .collect();
    if !warnings.is_empty() {
        page += &format!("<h2>What was wrong with the captures</h2>\n<ul>\n{}</ul>\n", warnings.concat());
    }
    Ok(page + "</body>\n</html>\n")
}

fn table(table: &InspectionTable) -> String {
    let row = |cells: &[String], first: &str, other: &str| {
        let cell = |(index, text): (usize, &String)| {
            let tag = if index == 0 { first } else { other };
            let name = tag.split(' ').next().unwrap_or(tag);
            format!("<{tag}>{}</{name}>", escaped(text))
        };
        format!("<tr>{}</tr>\n", cells.iter().enumerate().map(cell).collect::<String>())
    };
    let head = row(&table.header, "th scope=\"col\"", "th scope=\"col\"");
    let body: String = table.rows.iter().map(|cells| row(cells, "th scope=\"row\"", "td")).collect();
    let note = table.note.as_ref().map_or(String::new(), |note| format!("<p class=\"note\">{}.</p>\n", escaped(note)));
    format!(
        "<h2>{}</h2>\n{note}<div class=\"wide\"><table>\n<thead>\n{head}</thead>\n<tbody>\n{body}</tbody>\n</table></div>\n",
        escaped(&table.title)
    )
}

/// Text that a browser shows as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Bytes as letters: RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits =
            three.iter().enumerate().fold(0u32, |bits, (index, byte)| bits | u32::from(*byte) << (16 - 8 * index));
        for index in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * index)) as usize & 63];
            text.push(if index <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn bytes_become_letters_as_in_the_standard() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in cases {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn names_cannot_become_markup() {
        let row = InspectionTable {
            title: "<b>".into(),
            note: Some("a & b".into()),
            header: vec!["\"x\"".into()],
            rows: vec![vec!["<script>".into()]],
        };
        let html = table(&row);
        assert!(
            html.contains("&lt;script&gt;") && html.contains("&quot;x&quot;") && html.contains("a &amp; b."),
            "{html}"
        );
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
    }

    #[test]
    fn a_page_asks_for_nothing() {
        let nothing = Inspection::default();
        for inspections in [vec![&nothing], vec![&nothing, &nothing]] {
            let page = inspection_page(&inspections).unwrap();
            assert!(page.contains("data:image/png;base64,iVBOR"), "no image");
            assert!(!["http", "src=\"/", "<script", "@import", "url("].iter().any(|word| page.contains(word)));
        }
    }
}
