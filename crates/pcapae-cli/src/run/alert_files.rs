//! The files of `pcapae detect -o FOLDER`.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use pcapae::atomic_file::AtomicFile;
use pcapae::monitor::{Bundle, Detection, Event, Evidence};
use pcapae::report::{AlertCapture, cef_line, syslog_line};
use pcapae::{Error, Result};

use super::input::output;
use super::second_look;
use crate::args::DetectArgs;
use crate::progress::Console;

/// The files, begun before the long work so that what cannot be written is refused at once.
pub struct AlertFiles {
    jsonl: AtomicFile,
    pcapng: AtomicFile,
    syslog: Option<AtomicFile>,
    cef: Option<AtomicFile>,
}

impl AlertFiles {
    /// Begins the files that are wanted, in a folder that is made if it is not there. Refuses what cannot be read twice, as standard input.
    pub fn begin(folder: &Path, args: &DetectArgs) -> Result<AlertFiles> {
        let captures = &args.input.captures;
        if let Some(stream) = captures.iter().find(|capture| !capture.is_file() && !capture.is_dir()) {
            return Err(unrepeatable(stream));
        }
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let begin = |name: &str| output(&folder.join(name), args.force, captures);
        Ok(AlertFiles {
            jsonl: begin("alerts.jsonl")?,
            pcapng: begin("alerts.pcapng")?,
            syslog: args.syslog.then(|| begin("alerts.syslog")).transpose()?,
            cef: args.cef.then(|| begin("alerts.cef")).transpose()?,
        })
    }

    /// Reads the captures again, for the bytes of alerts and for the capture of alerts, which is written on the way. Refuses captures that are not
    /// what they were.
    pub fn second_look(
        &self,
        bundle: &Bundle,
        detection: &Detection,
        captures: &[PathBuf],
        console: &Console,
    ) -> Result<Evidence> {
        let file = File::create(self.pcapng.path()).map_err(Error::io("write", self.pcapng.place()))?;
        let mut capture = AlertCapture::new(detection, BufWriter::new(file))?;
        let evidence = second_look::evidence(bundle, detection, captures, &mut |packet| capture.take(packet), console)?;
        capture.finish()?;
        evidence.map_err(|_| unrepeatable(captures.first().map_or(Path::new(""), PathBuf::as_path)))
    }

    /// Writes them all; `objects` are the events as JSON.
    pub fn write(self, objects: &[String], detection: &Detection) -> Result<()> {
        let lines = |line: &dyn Fn(&Event) -> String| -> Vec<u8> {
            detection.events.iter().flat_map(|event| (line(event) + "\n").into_bytes()).collect()
        };
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

/// The error of a capture that cannot be read twice, or is another the second time.
fn unrepeatable(capture: &Path) -> Error {
    Error::Setting {
        setting: "capture",
        got: capture.display().to_string(),
        expected: "a file that can be read twice and stays the same, for alerts.pcapng".into(),
        remedy: Some("write a stream to a file first, or leave --output out".into()),
    }
}
