//! Services by the names that people know.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::capture::headers::{Conversation, Endpoint};

/// A protocol, and the service or the lower of the two ports where it has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName {
    /// "TCP", "ARP", "PROFINET".
    pub protocol: &'static str,
    /// "Modbus/TCP", as far as a port says so.
    pub service: Option<&'static str>,
    /// The lower port, where it has no name.
    pub port: Option<u16>,
}

impl ServiceName {
    /// The name of a conversation's service.
    pub fn of(conversation: &Conversation) -> ServiceName {
        let port = |end| match end {
            Endpoint::Ip(_, port) => port,
            Endpoint::Mac(_) | Endpoint::Unknown => None,
        };
        let Conversation { source, destination, protocol, service } = *conversation;
        let lower = port(source).zip(port(destination)).map(|(source, destination)| source.min(destination));
        ServiceName { protocol, service, port: if service.is_some() { None } else { lower } }
    }
}

impl fmt::Display for ServiceName {
    /// `TCP Modbus/TCP`, `UDP port 30001`, `ARP`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.service, self.port) {
            (Some(service), _) => write!(f, "{} {service}", self.protocol),
            (None, Some(port)) => write!(f, "{} port {port}", self.protocol),
            (None, None) => f.write_str(self.protocol),
        }
    }
}

impl Serialize for ServiceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
