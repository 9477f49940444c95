//! The report of a detection as a file for the browser.

use std::path::{Path, PathBuf};

use pcapae::bundle::{Bundle, Detection, Exhibits, Wanted};
use pcapae::capture::Captures;
use pcapae::report::{Event, Evidence, HtmlReport, packets_to_exhibit};
use pcapae::whole_file::WholeFile;

use crate::progress::Talk;

/// Why there are no bytes where something was read that cannot be read again.
const NOT_FILES: &str = "No bytes are shown: they would have to be read again, and not all captures are files.";
/// Why there are none where files changed.
const CHANGED: &str = "No bytes are shown: the captures changed while they were read.";

/// What a report is about.
pub struct Reported<'a> {
    /// The bundle, and where it is.
    pub bundle: (&'a Bundle, &'a Path),
    /// What it said of the captures.
    pub detection: &'a Detection,
    /// Its alerts, merged.
    pub events: &'a [Event],
}

impl Reported<'_> {
    /// Writes the report; the captures are read again for the bytes of alerts.
    pub fn write(&self, file: WholeFile, captures: &[PathBuf], talk: &Talk) -> pcapae::Result<()> {
        let exhibits = self.exhibits(captures, talk)?;
        let evidence = match &exhibits {
            Ok(exhibits) => Evidence::Shown(exhibits),
            Err(why) => Evidence::NotKept(why),
        };
        if let Evidence::NotKept(why) = evidence {
            talk.warn(format_args!("{}: {why}", file.place().display()));
        }
        let (bundle, path) = self.bundle;
        let name = path.display().to_string();
        let report = HtmlReport { bundle: (bundle, &name), detection: self.detection, events: self.events, evidence };
        file.write(report.render()?.as_bytes())
    }

    /// The bytes of alerts, or why there are none.
    fn exhibits(&self, captures: &[PathBuf], talk: &Talk) -> pcapae::Result<Result<Exhibits, &'static str>> {
        // Not even opened: a pipe with a name may wait for somebody to write into it.
        if captures.iter().any(|path| !path.is_file()) {
            return Ok(Err(NOT_FILES));
        }
        let captures = Captures::open(captures)?;
        if captures.total_bytes().is_none() {
            return Ok(Err(NOT_FILES));
        }
        let wanted = Wanted { shown: packets_to_exhibit(self.events), ..Wanted::default() };
        let exhibits = self.bundle.0.exhibits(captures, &wanted, talk)?;
        Ok(if exhibits.sources == self.detection.captures.sources { Ok(exhibits) } else { Err(CHANGED) })
    }
}
