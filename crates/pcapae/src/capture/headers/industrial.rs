//! The headers of industrial protocols, as far as a short table of lengths goes.

use super::be16;
use super::named_fields::Names;

/// Names what a TCP or UDP payload holds, if one of its ports is that of a protocol known here.
pub(super) fn over_port(source: u16, destination: u16, names: &mut Names) {
    let (port, to_service) = if KNOWN.contains(&destination) { (destination, true) } else { (source, false) };
    // Each unit takes bytes, so the loops end with them.
    match port {
        MODBUS => {
            while !names.rest().is_empty() {
                modbus(to_service, names);
            }
        }
        ISO_ON_TCP => s7comm(names),
        DNP3 => dnp3(names),
        IEC_104 => {
            while !names.rest().is_empty() {
                iec_104(names);
            }
        }
        ETHERNET_IP => ethernet_ip(names),
        _ => {}
    }
}

const MODBUS: u16 = 502;
const ISO_ON_TCP: u16 = 102;
const DNP3: u16 = 20_000;
const IEC_104: u16 = 2404;
const ETHERNET_IP: u16 = 44_818;
const KNOWN: [u16; 5] = [MODBUS, ISO_ON_TCP, DNP3, IEC_104, ETHERNET_IP];

/// Modbus Application Protocol 1.1b3 and Modbus Messaging on TCP/IP 1.0b: one unit of as many bytes as it says.
fn modbus(request: bool, names: &mut Names) {
    const HEADER: usize = 8;
    let rest = names.rest();
    let function = rest.get(7).copied().unwrap_or_default();
    // The length counts from the unit on.
    let length = if rest.len() >= 6 { (usize::from(be16(rest, 4)) + 6).max(HEADER) } else { HEADER };
    names.table(
        "Modbus",
        &[("transaction id", 2), ("protocol id", 2), ("length", 2), ("unit id", 1), ("function code", 1)],
    );
    let before = names.rest().len();
    match (function, request) {
        (1..=4, true) => names.table("Modbus", &[("register address", 2), ("quantity", 2)]),
        (1..=4, false) => names.table("Modbus", &[("byte count", 1)]),
        (5 | 6, _) => names.table("Modbus", &[("register address", 2), ("value", 2)]),
        (15 | 16, true) => names.table("Modbus", &[("register address", 2), ("quantity", 2), ("byte count", 1)]),
        (15 | 16, false) => names.table("Modbus", &[("register address", 2), ("quantity", 2)]),
        (0x80.., false) => names.table("Modbus", &[("exception code", 1)]),
        _ => {}
    }
    let named = before - names.rest().len();
    names.pieces("Modbus data", (length - HEADER).saturating_sub(named));
}

/// S7comm over ISO on TCP (RFC 1006, RFC 905), after the dissector of Wireshark: the protocol is not published.
fn s7comm(names: &mut Names) {
    const DATA: u8 = 0xf0;
    const S7: u8 = 0x32;
    let rest = names.rest();
    names.table("TPKT", &[("version", 1), ("reserved", 1), ("length", 2)]);
    names.table("COTP", &[("length", 1), ("type", 1)]);
    if rest.get(5) != Some(&DATA) {
        let length = rest.get(4).map_or(0, |length| usize::from(*length));
        names.pieces("COTP", length.saturating_sub(1));
        return;
    }
    names.table("COTP", &[("sequence", 1)]);
    if rest.get(7) != Some(&S7) {
        return;
    }
    names.table(
        "S7comm",
        &[
            ("protocol id", 1),
            ("message type", 1),
            ("reserved", 2),
            ("reference", 2),
            ("parameter length", 2),
            ("data length", 2),
        ],
    );
    // Acknowledgements say how it went.
    if matches!(rest.get(8), Some(2 | 3)) {
        names.table("S7comm", &[("error class", 1), ("error code", 1)]);
    }
    let parameters = if rest.len() >= 15 { usize::from(be16(rest, 13)) } else { 0 };
    let function = names.rest().first().copied();
    if parameters > 0 {
        names.table("S7comm", &[("function", 1)]);
    }
    let mut left = parameters.saturating_sub(1);
    // Read and write variables, in a job: a count, and items of twelve bytes.
    if matches!(function, Some(4 | 5)) && left > 0 {
        names.table("S7comm", &[("item count", 1)]);
        left -= 1;
        while rest.get(8) == Some(&1) && left >= 12 && !names.rest().is_empty() {
            names.table("S7comm", &[("item syntax", 3), ("transport size", 1), ("item length", 2)]);
            names.table("S7comm", &[("data block", 2), ("area", 1), ("address", 3)]);
            left -= 12;
        }
    }
    names.pieces("S7comm parameter", left);
    names.pieces("S7comm data", usize::MAX);
}

/// DNP3 (IEEE 1815-2012): link layer, transport, application header. After the header, every 16 bytes have a checksum; it counts as objects.
fn dnp3(names: &mut Names) {
    const RESPONSES: [u8; 2] = [129, 130];
    let function = names.rest().get(12).copied();
    names.table(
        "DNP3",
        &[
            ("start", 2),
            ("length", 1),
            ("control", 1),
            ("destination", 2),
            ("source", 2),
            ("header checksum", 2),
            ("transport", 1),
            ("application control", 1),
            ("function code", 1),
        ],
    );
    if function.is_some_and(|function| RESPONSES.contains(&function)) {
        names.table("DNP3", &[("internal indications", 2)]);
    }
    names.table("DNP3", &[("object group", 1), ("object variation", 1), ("object qualifier", 1)]);
    names.pieces("DNP3 objects", usize::MAX);
}

/// IEC 60870-5-104: one unit of as many bytes as it says; cause and addresses of 2, 2 and 3 bytes, as is fixed there.
fn iec_104(names: &mut Names) {
    let rest = names.rest();
    let length = rest.get(1).map_or(0, |length| usize::from(*length)).max(4);
    names.table("IEC 104", &[("start", 1), ("length", 1), ("control field", 4)]);
    // Units that transfer information have a 0 as the lowest bit of the control field.
    let information = rest.get(2).is_some_and(|control| control & 1 == 0);
    let mut left = length - 4;
    if information && left >= 9 {
        names.table(
            "IEC 104",
            &[
                ("type id", 1),
                ("object count", 1),
                ("cause of transmission", 2),
                ("common address", 2),
                ("object address", 3),
            ],
        );
        left -= 9;
    }
    names.pieces("IEC 104 information", left);
}

/// EtherNet/IP encapsulation (CIP Networks Library, volume 2).
fn ethernet_ip(names: &mut Names) {
    names.table(
        "EtherNet/IP",
        &[
            ("command", 2),
            ("length", 2),
            ("session", 4),
            ("status", 4),
            ("sender context", 8),
            ("options", 4),
            ("interface", 4),
            ("timeout", 2),
            ("item count", 2),
        ],
    );
    names.pieces("EtherNet/IP items", usize::MAX);
}

/// GOOSE (IEC 61850-8-1): a header, and tagged values one after the other.
pub(super) fn goose(names: &mut Names) {
    names.table("GOOSE", &[("application id", 2), ("length", 2), ("reserved", 4)]);
    // The outermost tag, and a length of one, two or three bytes.
    if let Some(header) = tag_and_length(names.rest()).map(|(header, _)| header) {
        names.table("GOOSE", &[("frame", header)]);
    }
    while let (Some((header, length)), Some(tag)) = (tag_and_length(names.rest()), names.rest().first()) {
        let name = match tag {
            0x80 => "control block",
            0x81 => "time allowed to live",
            0x82 => "data set",
            0x83 => "id",
            0x84 => "time",
            0x85 => "state number",
            0x86 => "sequence number",
            0x87 => "simulation",
            0x88 => "configuration revision",
            0x89 => "needs commissioning",
            0x8a => "entry count",
            0xab => "data",
            _ => return,
        };
        names.table("GOOSE", &[(name, header + length)]);
    }
}

/// How long tag and length are, and how long the value is (X.690, definite form).
fn tag_and_length(rest: &[u8]) -> Option<(usize, usize)> {
    match rest {
        [_, length @ 0..=0x7f, ..] => Some((2, usize::from(*length))),
        [_, 0x81, length, ..] => Some((3, usize::from(*length))),
        [_, 0x82, high, low, ..] => Some((4, usize::from(u16::from_be_bytes([*high, *low])))),
        _ => None,
    }
}
