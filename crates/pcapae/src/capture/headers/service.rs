//! The services behind well-known ports, as people in a plant know them.

/// The service of a port over TCP or UDP; `None` where the port says nothing.
pub fn service(port: u16) -> Option<&'static str> {
    SERVICES.binary_search_by_key(&port, |(number, _)| *number).ok().map(|index| SERVICES[index].1)
}

/// Port and name, in the order of ports. IANA's registry, with the names in use.
const SERVICES: &[(u16, &str)] = &[
    (20, "FTP"),
    (21, "FTP"),
    (22, "SSH"),
    (23, "Telnet"),
    (25, "SMTP"),
    (53, "DNS"),
    (67, "DHCP"),
    (68, "DHCP"),
    (69, "TFTP"),
    (80, "HTTP"),
    (102, "S7comm"),
    (123, "NTP"),
    (135, "DCE/RPC"),
    (137, "NetBIOS"),
    (138, "NetBIOS"),
    (139, "NetBIOS"),
    (161, "SNMP"),
    (162, "SNMP"),
    (319, "PTP"),
    (320, "PTP"),
    (389, "LDAP"),
    (443, "HTTPS"),
    (445, "SMB"),
    (502, "Modbus/TCP"),
    (514, "Syslog"),
    (1883, "MQTT"),
    (1900, "SSDP"),
    (2222, "EtherNet/IP"),
    (2404, "IEC 104"),
    (3389, "RDP"),
    (4840, "OPC UA"),
    (5353, "mDNS"),
    (5355, "LLMNR"),
    (5900, "VNC"),
    (8883, "MQTT"),
    (9600, "FINS"),
    (20000, "DNP3"),
    (34964, "PROFINET"),
    (44818, "EtherNet/IP"),
    (47808, "BACnet"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_in_order_and_found() {
        assert!(SERVICES.is_sorted_by_key(|(port, _)| *port));
        assert_eq!((service(502), service(47808), service(1)), (Some("Modbus/TCP"), Some("BACnet"), None));
    }
}
