//! The report of a detection as a file for the browser.

use std::path::Path;

use pcapae::bundle::{Bundle, Detection};
use pcapae::report::{Event, Evidence, HtmlReport};
use pcapae::whole_file::WholeFile;

use crate::progress::Talk;

/// Writes the report of what the bundle, from this path, said of some captures; `evidence` is from a second look at them.
pub fn write(
    file: WholeFile,
    (bundle, path): (&Bundle, &Path),
    (detection, events): (&Detection, &[Event]),
    evidence: Evidence<'_>,
    talk: &Talk,
) -> pcapae::Result<()> {
    if let Evidence::NotKept(why) = evidence {
        talk.warn(format_args!("{}: {why}", file.place().display()));
    }
    let name = path.display().to_string();
    file.write(HtmlReport { bundle: (bundle, &name), detection, events, evidence }.render()?.as_bytes())
}
