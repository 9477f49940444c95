//! What people say of a packet: normal, anomalous, or nothing; and the files they say it in.

/// The verdict of a ground truth on one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Label {
    /// Nobody said.
    #[default]
    Unknown,
    /// Normal operation; −1 on disk.
    Normal,
    /// Part of an attack or a fault; 1 on disk.
    Anomalous,
}

impl Label {
    /// The number that stands for the label in ground-truth files and datasets: −1, 1, or 0 for unknown.
    pub fn to_i8(self) -> i8 {
        match self {
            Label::Normal => -1,
            Label::Unknown => 0,
            Label::Anomalous => 1,
        }
    }

    /// The label that a number on disk stands for; `None` for any other number.
    pub fn from_i8(number: i8) -> Option<Label> {
        match number {
            -1 => Some(Label::Normal),
            0 => Some(Label::Unknown),
            1 => Some(Label::Anomalous),
            _ => None,
        }
    }
}
