//! The report of a detection as a file for the browser.

use std::path::Path;

use pcapae::atomic_file::AtomicFile;
use pcapae::monitor::{Bundle, Detection};
use pcapae::report::{HtmlReport, ReportEvidence};

use crate::progress::Console;

/// Writes the report of what the bundle, from this path, said of some captures; `evidence` is from a second look at them.
pub fn write(
    file: AtomicFile,
    (bundle, path): (&Bundle, &Path),
    detection: &Detection,
    evidence: ReportEvidence<'_>,
    console: &Console,
) -> pcapae::Result<()> {
    if let ReportEvidence::NotKept(why) = evidence {
        console.warn(format_args!("{}: {why}", file.place().display()));
    }
    let name = path.display().to_string();
    file.write(HtmlReport { bundle: (bundle, &name), detection, evidence }.render()?.as_bytes())
}
