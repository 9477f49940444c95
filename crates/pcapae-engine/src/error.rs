//! The one refusal of this crate.

/// A setting out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {got}: expected {expected}")]
pub struct InvalidSetting {
    /// The setting, as "number of frames".
    pub setting: &'static str,
    /// The value it was given.
    pub got: String,
    /// The values it can have.
    pub expected: &'static str,
}

impl InvalidSetting {
    pub(crate) fn new(setting: &'static str, got: impl ToString, expected: &'static str) -> InvalidSetting {
        InvalidSetting { setting, got: got.to_string(), expected }
    }
}
