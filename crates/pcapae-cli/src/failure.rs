//! What the user reads when the program refuses, and how it exits.

use std::io::Write;
use std::process::ExitCode;

/// Exit code of a refusal: bad input, a full disk, an interruption.
pub const REFUSED: u8 = 1;
/// Exit code of `detect --fail-on-alert` where there is an alert. 2 is clap's, for wrong usage.
pub const ALERTS: u8 = 3;

/// Writes the error and its hint to standard error.
pub fn explain(error: &anyhow::Error) -> ExitCode {
    let mut console = anstream::stderr();
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(console, "\x1b[1;31merror\x1b[0m: {error}");
    let hint = error.chain().find_map(|cause| cause.downcast_ref::<pcapae::Error>()?.hint());
    if let Some(hint) = hint {
        let _ = writeln!(console, "\x1b[1;36mhint\x1b[0m: {hint}");
    }
    ExitCode::from(REFUSED)
}
