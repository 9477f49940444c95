//! Facts of packets as numbers, for the files of detectors that count them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::capture::headers::{Direction, Endpoint, Service};
use crate::error::Fault;
pub(super) use crate::numeric::whole;

/// A service and direction as four numbers.
pub(super) fn of_service((service, direction): &(Service, Direction)) -> [f64; 4] {
    let direction = match direction {
        Direction::ToService => 0.0,
        Direction::FromService => 1.0,
    };
    [service.ethertype.into(), service.ip_protocol.into(), service.port.into(), direction]
}

/// The service and direction that four numbers stand for.
pub(super) fn service(row: &[f64]) -> Result<(Service, Direction), Fault> {
    let service = Service {
        ethertype: whole(row[0], 1 << 16)? as u16,
        ip_protocol: whole(row[1], 1 << 8)? as u8,
        port: whole(row[2], 1 << 16)? as u16,
    };
    let direction = if whole(row[3], 2)? == 0 { Direction::ToService } else { Direction::FromService };
    Ok((service, direction))
}

/// A host as five numbers: its kind, and four words of its address. A port is left out.
pub(super) fn of_host(host: Endpoint) -> [f64; 5] {
    let words = |bytes: [u8; 16]| {
        let word = |i: usize| f64::from(u32::from_be_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]));
        [word(0), word(4), word(8), word(12)]
    };
    let (kind, [a, b, c, d]) = match host {
        Endpoint::Unknown => (0.0, [0.0; 4]),
        Endpoint::Mac(mac) => {
            let mut bytes = [0; 16];
            bytes[10..].copy_from_slice(&mac);
            (1.0, words(bytes))
        }
        Endpoint::Ip(IpAddr::V4(address), _) => (2.0, [0.0, 0.0, 0.0, f64::from(u32::from(address))]),
        Endpoint::Ip(IpAddr::V6(address), _) => (3.0, words(address.octets())),
    };
    [kind, a, b, c, d]
}

/// The host that five numbers stand for.
pub(super) fn host(row: &[f64]) -> Result<Endpoint, Fault> {
    let kind = whole(row[0], 4)?;
    let mut bytes = [0; 16];
    for (bytes, &word) in bytes.chunks_exact_mut(4).zip(&row[1..5]) {
        bytes.copy_from_slice(&(whole(word, 1 << 32)? as u32).to_be_bytes());
    }
    let [.., a, b, c, d, e, f] = bytes;
    let host = match kind {
        0 => Endpoint::Unknown,
        1 => Endpoint::Mac([a, b, c, d, e, f]),
        2 => Endpoint::Ip(Ipv4Addr::new(c, d, e, f).into(), None),
        _ => Endpoint::Ip(Ipv6Addr::from(bytes).into(), None),
    };
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_and_hosts_survive_their_numbers() {
        for direction in [Direction::ToService, Direction::FromService] {
            let both = (Service { ethertype: 0x86dd, ip_protocol: 17, port: 65_535 }, direction);
            assert_eq!(service(&of_service(&both)), Ok(both));
        }
        let v6 = "fe80::1:2:ff03".parse::<IpAddr>().unwrap();
        let v4 = "10.0.0.254".parse::<IpAddr>().unwrap();
        for end in
            [Endpoint::Unknown, Endpoint::Mac([1, 2, 3, 4, 5, 255]), Endpoint::Ip(v6, None), Endpoint::Ip(v4, None)]
        {
            assert_eq!(host(&of_host(end)), Ok(end));
        }
        assert_eq!(host(&of_host(Endpoint::Ip(v4, Some(80)))), Ok(Endpoint::Ip(v4, None)));
    }
}
