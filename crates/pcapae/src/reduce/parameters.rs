//! Ranges that parameters of several methods share.

use super::TrainingWindows;
use crate::{Error, Result};

/// Default size of a code: that of the autoencoder.
pub(super) const COMPONENTS: usize = crate::model::CODE_SIZE;

/// The project's seed.
pub(super) const SEED: u64 = 1994;

/// Refuses a number below 1.
pub(super) fn check_count(setting: &'static str, count: usize) -> Result<()> {
    if count == 0 { Err(Error::setting(setting, count, "at least 1")) } else { Ok(()) }
}

/// Refuses a number that is not above 0 and finite.
pub(super) fn check_above_zero(setting: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() { Ok(()) } else { Err(Error::setting(setting, value, "a number above 0")) }
}

/// Refuses more components than a window has bytes, or than there are windows to find them in.
pub(super) fn check_components(components: usize, windows: &TrainingWindows<'_>) -> Result<()> {
    check_width(components, windows)?;
    check_enough(components, windows.len())
}

/// Refuses more components than a window has bytes.
pub(super) fn check_width(components: usize, windows: &TrainingWindows<'_>) -> Result<()> {
    match windows.width() {
        width if components > width => {
            Err(Error::setting("n_components", components, format!("at most {width}, the bytes in a window")))
        }
        _ => Ok(()),
    }
}

/// Refuses more components than there are windows to find them in.
pub(super) fn check_enough(components: usize, windows: usize) -> Result<()> {
    if components <= windows {
        return Ok(());
    }
    Err(Error::Setting {
        setting: "n_components",
        got: components.to_string(),
        expected: format!("at most {windows}, the number of windows"),
        remedy: Some("give a longer dataset, or fewer components".into()),
    })
}

/// Refuses more components than there are directions in which windows vary.
pub(super) fn check_directions(components: usize, directions: usize) -> Result<()> {
    if components <= directions {
        return Ok(());
    }
    Err(Error::Setting {
        setting: "n_components",
        got: components.to_string(),
        expected: format!("at most {directions}, the number of directions in which the windows vary"),
        remedy: Some(format!("use {directions} components or fewer, or more varied traffic")),
    })
}
