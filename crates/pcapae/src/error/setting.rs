//! The refusal of a setting, as most settings are refused.

use pcapae_engine::InvalidSetting;

use super::Error;

impl Error {
    /// A setting out of range: what was given, and what would be taken.
    pub(crate) fn setting(setting: &'static str, got: impl ToString, expected: impl Into<String>) -> Error {
        Error::Setting { setting, got: got.to_string(), expected: expected.into(), remedy: None }
    }
}

impl From<InvalidSetting> for Error {
    fn from(InvalidSetting { setting, got, expected }: InvalidSetting) -> Error {
        Error::setting(setting, got, expected)
    }
}
