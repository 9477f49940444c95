//! The files of `pcapae detect -o FOLDER`.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use pcapae::atomic_file::AtomicFile;
use pcapae::capture::Captures;
use pcapae::monitor::{Detection, Event};
use pcapae::report::{alert_capture, cef_line, syslog_line};
use pcapae::{Error, Result};

use super::input::output;
use crate::args::DetectArgs;

/// The files, begun before the long work so that what cannot be written is refused at once.
pub struct AlertFiles {
    captures: Vec<PathBuf>,
    jsonl: AtomicFile,
    pcapng: AtomicFile,
    syslog: Option<AtomicFile>,
    cef: Option<AtomicFile>,
}

impl AlertFiles {
    /// Begins the files that are wanted, in a folder that is made if it is not there. Refuses standard input, which cannot be read twice.
    pub fn begin(folder: &Path, args: &DetectArgs) -> Result<AlertFiles> {
        let captures = args.input.captures.clone();
        if captures.iter().any(|capture| capture == Path::new("-")) {
            return Err(Error::Setting {
                setting: "output folder",
                got: "with standard input".into(),
                expected: "captures that can be read twice, for alerts.pcapng".into(),
                remedy: Some("write standard input to a file first, or leave --output out".into()),
            });
        }
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let begin = |name: &str| output(&folder.join(name), args.force, &captures);
        Ok(AlertFiles {
            jsonl: begin("alerts.jsonl")?,
            pcapng: begin("alerts.pcapng")?,
            syslog: args.syslog.then(|| begin("alerts.syslog")).transpose()?,
            cef: args.cef.then(|| begin("alerts.cef")).transpose()?,
            captures,
        })
    }

    /// Writes them all; `objects` are the events as JSON.
    pub fn write(self, objects: &[String], detection: &Detection) -> Result<()> {
        let lines = |line: &dyn Fn(&Event) -> String| -> Vec<u8> {
            detection.events.iter().flat_map(|event| (line(event) + "\n").into_bytes()).collect()
        };
        let file = File::create(self.pcapng.path()).map_err(Error::io("write", self.pcapng.place()))?;
        alert_capture(detection, Captures::open(&self.captures)?, BufWriter::new(file))?;
        self.pcapng.keep()?;
        if let Some(syslog) = self.syslog {
            syslog.write(&lines(&syslog_line))?;
        }
        if let Some(cef) = self.cef {
            cef.write(&lines(&cef_line))?;
        }
        let objects: Vec<u8> = objects.iter().flat_map(|object| format!("{object}\n").into_bytes()).collect();
        self.jsonl.write(&objects)
    }
}
