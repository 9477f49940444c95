//! What the user can do about a refusal.

use super::Error;

impl Error {
    /// What the user can do about it, as one sentence, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NotACapture { .. } => {
                Some("a capture is a pcap or pcapng file, plain or compressed with gzip, zstd or lz4, or a text file that lists some".to_owned())
            }
            Error::UnsupportedCapture { .. } => Some("convert it with `editcap -F pcap`".to_owned()),
            Error::Exists { .. } => Some("give --force to replace it".into()),
            Error::Setting { remedy, .. }
            | Error::Checkpoint { remedy, .. }
            | Error::NotAModel { remedy, .. }
            | Error::Unevaluable { remedy, .. } => remedy.clone(),
            Error::GroundTruthShort { .. } | Error::GroundTruthLong { .. } => {
                Some("a ground truth has one row per packet, in file order, without a header".into())
            }
            Error::NotALabel { row: 1, .. } => Some("a ground truth has no header".into()),
            Error::NotADataset { .. } => Some("datasets are made by pcapae dataset".into()),
            Error::NotCodes { .. } => Some("codes are made by pcapae encode".into()),
            Error::NotABlueprint { .. } => {
                Some("a blueprint is YAML: the name of one detector, and below it its parameters, a line each".into())
            }
            Error::NotAPlan { .. } => Some("GUIDE.md says how a plan is written; plans/ has some".into()),
            Error::NotFitted { what: "reducer", .. } => Some("reducers are made by pcapae reduce with --save".into()),
            Error::NotFitted { .. } => Some("detectors are made by pcapae fit".into()),
            Error::NotScores { .. } => {
                Some("scores are CSV with a header and at least the column score, as detect --scores writes".into())
            }
            Error::NoThreshold { .. } => {
                Some("give more scores of normal traffic, or another --threshold, such as conformal:0.001".into())
            }
            Error::NotABundle { .. } => Some("bundles are made by pcapae learn; those of another version must be learned again".into()),
            Error::TooLittle { .. } => Some("give longer captures, or more of them".into()),
            Error::OtherSetting { .. } => Some("a training goes on with its own settings; only --epochs and --patience may be others".into()),
            Error::TrainingExists { .. } => Some("give --resume to go on with it, or --force to replace it".into()),
            Error::LossNotFinite { .. } => Some("try a smaller learning rate or a smaller clipping norm".into()),
            _ => None,
        }
    }
}
