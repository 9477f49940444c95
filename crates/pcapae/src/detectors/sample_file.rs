//! Files that detectors are fitted to or that they score: codes, or the fragments of a dataset.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Samples;
use crate::code::{self, Codes};
use crate::dataset::hdf5_file::Hdf5File;
use crate::dataset::{Dataset, Origin, Provenance};
use crate::error::{Fault, FileKind, Place};
use crate::fragment::{FragmentSize, Mask, Mode};
use crate::scores::{PACKETS_COLUMN, ScoreRow, packet_list};
use crate::{Error, Result};

/// Fragments whose provenance is read at once.
const ORIGINS_AT_ONCE: usize = 1 << 16;

/// A file whose rows are samples.
#[derive(Debug)]
pub enum SampleFile {
    /// Codes of windows, all in memory.
    Codes(Codes),
    /// Fragments, read as they are asked for; with the facts of packets where each fragment is one.
    Fragments(Dataset),
}

/// What the rows of a file are; a detector scores rows of the kind that it was fitted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Rows {
    /// Codes.
    Codes {
        /// Numbers in a code.
        width: usize,
        /// The model, as its codes' file names it in JSON; `None` for a file with codes alone.
        model: Option<String>,
    },
    /// Fragments.
    Fragments {
        /// Bytes in a fragment.
        size: usize,
        /// How packets became fragments; `None` in the original's layout, and so below.
        mode: Option<Mode>,
        /// Which header fields were read as zeros.
        mask: Option<Mask>,
    },
}

impl SampleFile {
    /// Opens a file of codes, or a dataset of either layout; says itself which it is.
    pub fn open(path: &Path) -> Result<SampleFile> {
        let file = Hdf5File::open(path, FileKind::Samples)?;
        let has_codes = match file.text("format").map_err(FileKind::Samples.unreadable(path))?.as_deref() {
            Some(format) => format == code::FORMAT,
            None => !matches!(file.array::<f32>("codes"), Ok(None)),
        };
        drop(file);
        Ok(match has_codes {
            true => SampleFile::Codes(Codes::open(path)?),
            false => SampleFile::Fragments(Dataset::open(path)?),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            SampleFile::Codes(codes) => codes.path(),
            SampleFile::Fragments(dataset) => dataset.path(),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            SampleFile::Codes(codes) => codes.len(),
            SampleFile::Fragments(dataset) => dataset.len(),
        }
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the rows are.
    pub fn rows(&self) -> Rows {
        match self {
            SampleFile::Codes(codes) => {
                let model = codes.description().map(|description| description.model.clone());
                Rows::Codes { width: codes.width(), model }
            }
            SampleFile::Fragments(dataset) => Rows::of_fragments(dataset),
        }
    }

    /// The dataset's name and captures as JSON, where the file knows them.
    pub fn sources(&self) -> Option<&str> {
        match self {
            SampleFile::Codes(codes) => codes.description().map(|description| description.dataset.as_str()),
            SampleFile::Fragments(dataset) => dataset.sources(),
        }
    }

    /// Refuses a file without rows.
    pub fn check_rows(&self) -> Result<()> {
        let path = self.path().to_owned();
        match self {
            _ if !self.is_empty() => Ok(()),
            SampleFile::Codes(_) => Err(FileKind::Codes.unreadable(&path)(Place::Array("codes".into()).empty())),
            SampleFile::Fragments(_) => Err(Error::NoFragments { path }),
        }
    }

    /// Some of the rows, in their order; panics where there are none of these, as a slice does.
    pub fn samples(&self, rows: Range<usize>) -> Result<Samples> {
        match self {
            SampleFile::Codes(codes) => {
                let width = codes.width();
                let values = codes.values()[rows.start * width..rows.end * width].to_vec();
                Ok(Samples::of_numbers(values, width))
            }
            SampleFile::Fragments(dataset) => {
                let mut bytes = Vec::with_capacity(rows.len() * dataset.size().bytes());
                dataset.read(rows.clone(), &mut bytes)?;
                let samples = Samples::of_bytes(bytes, dataset.size().bytes());
                Ok(match dataset.facts(rows)? {
                    Some(facts) => samples.with_facts(facts),
                    None => samples,
                })
            }
        }
    }

    /// Packets, times and labels of some of the rows; `None` where the file does not know them.
    pub fn origins(&self, rows: Range<usize>) -> Result<Vec<Option<Origin>>> {
        Ok(match self {
            SampleFile::Codes(codes) => rows.map(|row| codes.origin(row)).collect(),
            SampleFile::Fragments(dataset) => {
                from_provenance(dataset, rows, |provenance, row| provenance.origin(row..row + 1))?
            }
        })
    }

    /// The columns that the scores of these rows have beside the usual ones: [`PACKETS_COLUMN`] in flow mode, and where the mode is not known.
    pub fn further_columns(&self) -> &'static [&'static str] {
        match self {
            SampleFile::Codes(codes) => match codes.description().map(|description| description.mode) {
                Some(Some(mode)) => further_columns(Some(mode)),
                _ => &[],
            },
            SampleFile::Fragments(dataset) => further_columns(dataset.mode()),
        }
    }

    /// The [origins](Self::origins) of some rows, each with the list of its packets where [`further_columns`](Self::further_columns) has a
    /// column for it.
    pub(super) fn listed_origins(&self, rows: Range<usize>) -> Result<Vec<(Option<Origin>, Option<String>)>> {
        let listed = !self.further_columns().is_empty();
        match self {
            SampleFile::Codes(codes) => {
                let packets =
                    |row| codes.segments(row).iter().copied().flatten().map(|segment| segment.packet).collect();
                Ok(rows.map(|row| (codes.origin(row), listed.then(|| packet_list(packets(row))))).collect())
            }
            SampleFile::Fragments(dataset) => from_provenance(dataset, rows, |provenance, row| {
                let list = listed.then(|| packets_of_window(provenance, row..row + 1));
                (provenance.origin(row..row + 1), list)
            }),
        }
    }
}

/// What `tell` says of each of some fragments, whose provenance is read a block at a time.
fn from_provenance<T>(dataset: &Dataset, rows: Range<usize>, tell: impl Fn(&Provenance, usize) -> T) -> Result<Vec<T>> {
    let mut told = Vec::with_capacity(rows.len());
    for first in rows.clone().step_by(ORIGINS_AT_ONCE) {
        let block = first..(first + ORIGINS_AT_ONCE).min(rows.end);
        let provenance = dataset.provenance(block.clone())?;
        told.extend(block.map(|row| tell(&provenance, row)));
    }
    Ok(told)
}

/// The columns beside the usual ones of scores of fragments or windows in this mode.
pub fn further_columns(mode: Option<Mode>) -> &'static [&'static str] {
    match mode {
        Some(Mode::Byte | Mode::Packet) => &[],
        Some(Mode::Flow) | None => &[PACKETS_COLUMN],
    }
}

/// The packets of a window of fragments, as a list.
pub(crate) fn packets_of_window(provenance: &Provenance, window: Range<usize>) -> String {
    packet_list(window.flat_map(|fragment| provenance.packets(fragment)).map(|(packet, _)| packet).collect())
}

impl Rows {
    /// What the fragments of a dataset are.
    pub(crate) fn of_fragments(dataset: &Dataset) -> Rows {
        let cutting = dataset.cutting();
        Rows::Fragments {
            size: dataset.size().bytes(),
            mode: cutting.map(|cutting| cutting.mode),
            mask: cutting.map(|cutting| cutting.mask),
        }
    }

    /// Numbers or bytes in a row.
    pub fn width(&self) -> usize {
        match self {
            Rows::Codes { width, .. } => *width,
            Rows::Fragments { size, .. } => *size,
        }
    }

    /// Whether a detector that was fitted to these rows can score those: equally wide, and nothing that is known of both differs.
    pub fn go_with(&self, those: &Rows) -> bool {
        match (self, those) {
            (Rows::Codes { width, model }, Rows::Codes { width: other_width, model: other_model }) => {
                width == other_width && agree(&weights(model), &weights(other_model))
            }
            (
                Rows::Fragments { size, mode, mask },
                Rows::Fragments { size: other_size, mode: other_mode, mask: other_mask },
            ) => size == other_size && agree(mode, other_mode) && agree(mask, other_mask),
            _ => false,
        }
    }

    /// Refuses a width that no file has.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        match self.width() {
            1..=FragmentSize::LINE_MAX => Ok(()),
            width => Err(Place::Entry("width".into()).found(width, format!("1 to {}", FragmentSize::LINE_MAX))),
        }
    }
}

/// True unless both are known and differ.
fn agree<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// The hash of the model's weights.
fn weights(model: &Option<String>) -> Option<String> {
    let model: Value = serde_json::from_str(model.as_deref()?).ok()?;
    model["sha256"].as_str().map(str::to_owned)
}

/// What made the codes, in a word.
fn maker(model: &Option<String>) -> &'static str {
    let said: Value = model.as_deref().and_then(|model| serde_json::from_str(model).ok()).unwrap_or_default();
    if said["reduction"].is_object() { "reducer" } else { "model" }
}

/// `codes of 64 numbers of the model 5f3a…`, `fragments of 256 bytes in packet mode with volatile masked`.
impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rows::Codes { width, model } => {
                write!(f, "codes of {width} numbers")?;
                match weights(model) {
                    Some(hash) => write!(f, " of the {} {}…", maker(model), hash.chars().take(8).collect::<String>()),
                    None => Ok(()),
                }
            }
            Rows::Fragments { size, mode, mask } => {
                write!(f, "fragments of {size} bytes")?;
                if let Some(mode) = mode {
                    write!(f, " in {} mode", mode.name())?;
                }
                match mask {
                    Some(mask) if !mask.is_empty() => write!(f, " with {mask} masked"),
                    _ => Ok(()),
                }
            }
        }
    }
}

/// The score of row or window `window`, with what is known of where it came from.
pub(crate) fn score_row(window: usize, origin: Option<Origin>, score: f64) -> ScoreRow {
    ScoreRow {
        window: window as u64,
        first_packet: origin.map(|origin| origin.first_packet),
        last_packet: origin.map(|origin| origin.last_packet),
        time_ns: origin.and_then(|origin| origin.time_ns),
        score,
        label: origin.map(|origin| origin.label).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(width: usize, hash: &str) -> Rows {
        Rows::Codes { width, model: Some(format!(r#"{{"sha256":"{hash}"}}"#)) }
    }

    fn fragments(size: usize, mode: Option<Mode>, mask: Mask) -> Rows {
        Rows::Fragments { size, mode, mask: mode.map(|_| mask) }
    }

    #[test]
    fn rows_go_with_rows_unless_something_known_differs() {
        assert!(codes(64, "ab").go_with(&codes(64, "ab")));
        assert!(!codes(64, "ab").go_with(&codes(64, "cd")));
        assert!(codes(64, "ab").go_with(&Rows::Codes { width: 64, model: None }));
        assert!(!codes(64, "ab").go_with(&codes(32, "ab")));
        let packet = fragments(256, Some(Mode::Packet), Mask::NONE);
        assert!(packet.go_with(&fragments(256, None, Mask::NONE)));
        assert!(!packet.go_with(&fragments(256, Some(Mode::Byte), Mask::NONE)));
        assert!(!packet.go_with(&fragments(256, Some(Mode::Packet), Mask::volatile())));
        assert!(!packet.go_with(&fragments(1024, Some(Mode::Packet), Mask::NONE)));
        assert!(!packet.go_with(&codes(256, "ab")));
    }

    #[test]
    fn rows_are_named_in_a_few_words() {
        assert_eq!(codes(64, "0123456789").to_string(), "codes of 64 numbers of the model 01234567…");
        let reduced = Rows::Codes { width: 8, model: Some(r#"{"reduction":{"PCA":{}},"sha256":"ab"}"#.into()) };
        assert_eq!(reduced.to_string(), "codes of 8 numbers of the reducer ab…");
        assert_eq!(fragments(256, Some(Mode::Byte), Mask::NONE).to_string(), "fragments of 256 bytes in byte mode");
        let masked = fragments(256, Some(Mode::Packet), "addresses".parse().unwrap()).to_string();
        assert!(
            masked.starts_with("fragments of 256 bytes in packet mode with ") && masked.ends_with(" masked"),
            "{masked}"
        );
    }
}
