//! What was accepted as normal after it had been an alert.

use serde::{Deserialize, Serialize};

use super::{Bundle, Event};
use crate::{Error, Result};

/// A cause of alerts that is normal from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// The hash of the cause, as findings have it.
    #[serde(with = "hex")]
    pub cause: u64,
    /// Up to which score, in the detector's unit.
    pub up_to: f32,
    /// The detector and aspect that raised alerts.
    pub kind: String,
    /// What was told of the event, or why it is accepted.
    pub reason: String,
    /// When it was accepted, in nanoseconds since 1970.
    pub time_ns: i64,
}

/// A hash as 16 hexadecimal digits, which survive programs that read numbers as floats.
pub(crate) mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{hash:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}
