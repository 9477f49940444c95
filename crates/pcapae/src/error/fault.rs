//! Why a file cannot be read: what kind of file it should be, where the fault lies, what was expected there, and what was found.

use std::fmt::{self, Write};
use std::path::Path;

use super::Error;

/// The kinds of files that the library reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// Packets: pcap or pcapng, or a text that lists such files.
    Capture,
    /// Fragments with their labels: HDF5.
    Dataset,
    /// Codes of windows: HDF5.
    Codes,
    /// A dataset or codes, before it is known which: HDF5.
    Samples,
    /// Scores of windows or packets: CSV.
    Scores,
    /// Labels of packets: CSV.
    GroundTruth,
    /// A detector and its parameters: YAML.
    Blueprint,
    /// The plan of an experiment: YAML.
    Plan,
    /// A fitted detector: safetensors.
    Detector,
    /// A fitted reducer: safetensors.
    Reducer,
    /// Trained detectors with their calibration: safetensors.
    Bundle,
    /// Events that `detect` wrote: JSON lines.
    Alerts,
    /// A neural network: safetensors, or a file of PyTorch.
    Model,
    /// A training that can be resumed: safetensors.
    Training,
    /// The losses of each epoch of a training: CSV.
    History,
}

impl FileKind {
    /// The error that a file of this kind at `path` cannot be read, for `map_err`.
    pub fn unreadable(self, path: &Path) -> impl Fn(Fault) -> Error + Copy + '_ {
        move |fault| Error::Unreadable { kind: self, path: path.to_owned(), fault }
    }
}

/// With its article: "a dataset", "codes".
impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::Capture => "a capture",
            FileKind::Dataset => "a dataset",
            FileKind::Codes => "codes",
            FileKind::Samples => "a dataset or codes",
            FileKind::Scores => "scores",
            FileKind::GroundTruth => "a ground truth",
            FileKind::Blueprint => "a blueprint",
            FileKind::Plan => "a plan",
            FileKind::Detector => "a detector",
            FileKind::Reducer => "a reducer",
            FileKind::Bundle => "a bundle",
            FileKind::Alerts => "alerts of detect",
            FileKind::Model => "a model",
            FileKind::Training => "a training",
            FileKind::History => "a training history",
        })
    }
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// An entry of the metadata, or an attribute, by name.
    Entry(String),
    /// An array or tensor, by name.
    Array(String),
    /// A column of a table, by name.
    Column(String),
    /// A parameter or key, by name.
    Parameter(String),
    /// A part of the file that has a name of its own: "calibration", a detector.
    Part(String),
    /// A line of a text, from 1.
    Line(u64),
    /// A row of a table or array, from 1 in texts, from 0 in arrays.
    Row(u64),
    /// An element of an array, row-major, from 0.
    Element(u64),
    /// A byte, from 0.
    Byte(u64),
}

impl Place {
    /// Nothing is at this place.
    pub fn missing(self) -> Fault {
        Fault { places: vec![self], problem: Problem::Missing }
    }

    /// What is at this place has nothing in it.
    pub fn empty(self) -> Fault {
        Fault { places: vec![self], problem: Problem::Empty }
    }

    /// Something other than expected is at this place.
    pub fn found(self, found: impl ToString, expected: impl Into<String>) -> Fault {
        Fault::found(found, expected).within(self)
    }

    /// Whether the place can be the subject of a sentence.
    fn is_subject(&self) -> bool {
        matches!(self, Place::Entry(_) | Place::Array(_) | Place::Column(_) | Place::Parameter(_))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Entry(name) => write!(f, "its {name}"),
            Place::Array(name) | Place::Column(name) | Place::Parameter(name) => write!(f, "`{name}`"),
            Place::Part(name) => f.write_str(name),
            Place::Line(line) => write!(f, "line {line}"),
            Place::Row(row) => write!(f, "row {row}"),
            Place::Element(element) => write!(f, "element {element}"),
            Place::Byte(byte) => write!(f, "byte {byte}"),
        }
    }
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Nothing is there.
    Missing,
    /// It has nothing in it.
    Empty,
    /// It is something else than expected.
    Unexpected {
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// An array has another shape than expected.
    Shape {
        /// Lengths of its axes.
        found: Vec<usize>,
        /// Lengths that its axes should have; `None` for any.
        expected: Vec<Option<usize>>,
    },
    /// A setting has a value that it cannot have, as in [`Error::Setting`].
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        got: String,
        /// The values that it can have.
        expected: String,
    },
    /// The parser of the file's format says this.
    Parser(String),
}

/// Why a file cannot be read. `Display` is one sentence without a first capital and a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, from the outermost place to the innermost; empty for the file as a whole.
    pub places: Vec<Place>,
    /// What is wrong there.
    pub problem: Problem,
}

impl Fault {
    /// The file as a whole is something other than expected.
    pub fn found(found: impl ToString, expected: impl Into<String>) -> Fault {
        Problem::Unexpected { found: found.to_string(), expected: expected.into() }.into()
    }

    /// What the parser of the file's format says, as one line without a period.
    pub fn parser(message: impl fmt::Display) -> Fault {
        let message = message.to_string().replace('\n', " ");
        Problem::Parser(message.trim().trim_end_matches('.').to_owned()).into()
    }

    /// The same fault, its place being a part of `place`.
    pub fn within(mut self, place: Place) -> Fault {
        self.places.insert(0, place);
        self
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Fault {
        Fault { places: Vec::new(), problem }
    }
}

impl From<pcapae_engine::InvalidSetting> for Fault {
    fn from(refused: pcapae_engine::InvalidSetting) -> Fault {
        Error::from(refused).into()
    }
}

/// A check of what was read failed.
impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        match error {
            Error::Setting { setting, got, expected, .. } => Problem::Setting { setting, got, expected }.into(),
            Error::Unreadable { fault, .. } => fault,
            other => Fault::parser(other),
        }
    }
}

impl fmt::Display for Fault {
    /// Names out of a file may hold line breaks and other control characters, which are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sentence = String::new();
        self.write_sentence(&mut sentence)?;
        sentence.chars().try_for_each(|letter| match letter.is_control() {
            true => write!(f, "{}", letter.escape_default()),
            false => f.write_char(letter),
        })
    }
}

impl Fault {
    fn write_sentence(&self, f: &mut String) -> fmt::Result {
        let is_clause = matches!(self.problem, Problem::Setting { .. } | Problem::Parser(_));
        let subject = self.places.last().filter(|place| !is_clause && place.is_subject());
        let around = &self.places[..self.places.len() - usize::from(subject.is_some())];
        let around: Vec<String> = around.iter().map(Place::to_string).collect();
        if !around.is_empty() {
            write!(f, "{}: ", around.join(", "))?;
        }
        match (subject, &self.problem) {
            (Some(place), _) => write!(f, "{place} ")?,
            (None, Problem::Missing | Problem::Empty | Problem::Shape { .. }) => f.write_str("it ")?,
            (None, _) => {}
        }
        match &self.problem {
            Problem::Missing => f.write_str("is missing"),
            Problem::Empty => f.write_str("is empty"),
            Problem::Unexpected { found, expected } => {
                let verb = match subject {
                    Some(Place::Array(_)) => "holds",
                    Some(_) => "is",
                    None => "found",
                };
                write!(f, "{verb} {found}, expected {expected}")
            }
            Problem::Shape { found, expected } => {
                let axis = |axis: &Option<usize>| axis.map_or("any".into(), |length| length.to_string());
                let expected: Vec<String> = expected.iter().map(axis).collect();
                write!(f, "has the shape {found:?}, expected [{}]", expected.join(", "))
            }
            Problem::Setting { setting, got, expected } => write!(f, "{setting} {got}: expected {expected}"),
            Problem::Parser(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_sentence_about_its_place() {
        let score = Place::Column("score".into()).found("\"high\"", "a number");
        assert_eq!(score.clone().within(Place::Line(3)).to_string(), "line 3: `score` is \"high\", expected a number");
        assert_eq!(Fault::found("`a\n\0`", "b").to_string(), "found `a\\n\\u{0}`, expected b");
        assert_eq!(Fault::found("a folder", "a file").to_string(), "found a folder, expected a file");
        assert_eq!(
            Place::Array("gamma".into()).found(-1, "more than 0").to_string(),
            "`gamma` holds -1, expected more than 0"
        );
        assert_eq!(Place::Entry("format".into()).missing().to_string(), "its format is missing");
        let setting = Fault::from(Error::setting("p", 0, "1 or more")).within(Place::Part("Mahalanobis".into()));
        assert_eq!(setting.to_string(), "Mahalanobis: p 0: expected 1 or more");
        assert_eq!(Fault::parser("a\nb.").within(Place::Array("x".into())).to_string(), "`x`: a b");
        assert_eq!(
            Place::Row(7)
                .empty()
                .within(Place::Array("x".into()))
                .within(Place::Part("calibration".into()))
                .to_string(),
            "calibration, `x`, row 7: it is empty"
        );
    }
}
