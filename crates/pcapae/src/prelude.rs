//! The names that most programs need.

pub use crate::capture::{Captures, LinkType, Packet, PcapNgWriter};
pub use crate::detectors::Blueprint;
pub use crate::label::{GroundTruth, Label, Labels};
pub use crate::monitor::{Alert, Bundle, Detection, DetectorPlan, Event, Keep, LearnConfig, Learned, learn};
pub use crate::progress::Progress;
pub use crate::{Error, Result};
