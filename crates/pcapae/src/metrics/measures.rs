//! The measures of alerts and of the ranking, side by side with what flagging everything would have.

use serde::Serialize;

use super::{Confusion, Ranking};
use crate::label::{Label, PacketLabels};
use crate::scores::ScoreTable;

/// How good scores and alerts are, row by row. What is undefined is `None`, null in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measures {
    /// Alerts against labels.
    #[serde(flatten)]
    pub confusion: Confusion,
    /// Rows whose label is unknown; they are not counted.
    pub unlabelled: u64,
    /// Packets that have a label but no score. They count as not flagged, and are not in the ranking.
    pub unscored: u64,
    /// Share of the flagged that are anomalous.
    pub precision: Option<f64>,
    /// Share of the anomalous that are flagged.
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
    /// Share of the normal that are flagged.
    pub false_positive_rate: Option<f64>,
    /// Correlation of alerts and labels, −1 to 1.
    pub matthews: Option<f64>,
    /// Area under the precision-recall curve, whatever the threshold.
    pub average_precision: Option<f64>,
    /// Area under the ROC curve, whatever the threshold.
    pub roc_auc: Option<f64>,
    /// Share of the anomalous.
    pub base_rate: Option<f64>,
    /// What flagging everything would have, with equal scores for all.
    pub flagging_everything: FlaggingEverything,
}

/// The measures of flagging everything. Its recall and false-positive rate are 1; correlation is undefined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FlaggingEverything {
    /// The base rate.
    pub precision: Option<f64>,
    /// Above ½ where most are anomalous, whatever the detector.
    pub f1: Option<f64>,
    /// The base rate, of what has a score.
    pub average_precision: Option<f64>,
    /// ½, if there is something of both kinds.
    pub roc_auc: Option<f64>,
}

impl Measures {
    /// Measures a table by its labels; scores above `threshold` are flagged.
    pub fn of(table: &ScoreTable, threshold: f64) -> Measures {
        let scored = || table.scores().iter().copied().zip(table.labels().iter().copied());
        let mut confusion = Confusion::default();
        for (score, label) in scored() {
            confusion.add(label, score > threshold);
        }
        let ranking = Ranking::of(scored());
        let unlabelled = scored().filter(|(_, label)| *label == Label::Unknown).count() as u64;
        Measures { unlabelled, ..Measures::from(confusion, &ranking) }
    }

    /// The same with the packets of a ground truth that have no score.
    pub fn with_unscored(self, packets: &ScoreTable, truth: &PacketLabels) -> Measures {
        let mut confusion = self.confusion;
        let mut scored = packets.rows().filter_map(|row| row.first_packet).peekable();
        let mut unscored = 0;
        for packet in 1..=truth.len() {
            if scored.next_if_eq(&packet).is_none() && truth.label(packet) != Label::Unknown {
                confusion.add(truth.label(packet), false);
                unscored += 1;
            }
        }
        let of_alerts = Measures::from(confusion, &Ranking::of([]));
        let FlaggingEverything { average_precision, roc_auc, .. } = self.flagging_everything;
        Measures {
            unlabelled: self.unlabelled,
            unscored,
            average_precision: self.average_precision,
            roc_auc: self.roc_auc,
            flagging_everything: FlaggingEverything { average_precision, roc_auc, ..of_alerts.flagging_everything },
            ..of_alerts
        }
    }

    fn from(confusion: Confusion, ranking: &Ranking) -> Measures {
        let everything = confusion.of_flagging_everything();
        Measures {
            confusion,
            unlabelled: 0,
            unscored: 0,
            precision: confusion.precision(),
            recall: confusion.recall(),
            f1: confusion.f1(),
            false_positive_rate: confusion.false_positive_rate(),
            matthews: confusion.matthews(),
            average_precision: ranking.average_precision(),
            roc_auc: ranking.roc_auc(),
            base_rate: confusion.base_rate(),
            flagging_everything: FlaggingEverything {
                precision: everything.precision(),
                f1: everything.f1(),
                average_precision: ranking.base_rate(),
                roc_auc: ranking.roc_auc().map(|_| 0.5),
            },
        }
    }
}
