//! The confusion matrix and its measures.

use serde::{Deserialize, Serialize};

use crate::label::Label;

/// Counts of alerts against labels. Positive means anomalous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Confusion {
    /// Anomalous and flagged.
    pub true_positives: u64,
    /// Normal but flagged: false alarms.
    pub false_positives: u64,
    /// Normal and not flagged.
    pub true_negatives: u64,
    /// Anomalous but not flagged: misses.
    pub false_negatives: u64,
}

impl Confusion {
    /// Counts one packet or row; an unknown label does not count.
    pub fn add(&mut self, label: Label, flagged: bool) {
        match (label, flagged) {
            (Label::Anomalous, true) => self.true_positives += 1,
            (Label::Anomalous, false) => self.false_negatives += 1,
            (Label::Normal, true) => self.false_positives += 1,
            (Label::Normal, false) => self.true_negatives += 1,
            (Label::Unknown, _) => {}
        }
    }

    /// Share of the flagged that are anomalous, TP / (TP + FP); `None` if nothing was flagged.
    pub fn precision(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Share of the anomalous that are flagged, TP / (TP + FN); `None` if nothing is anomalous.
    pub fn recall(&self) -> Option<f64> {
        share(self.true_positives, self.anomalous())
    }

    /// Share of the normal that are flagged, FP / (FP + TN); `None` if nothing is normal.
    pub fn false_positive_rate(&self) -> Option<f64> {
        share(self.false_positives, self.normal())
    }

    /// 2 TP / (2 TP + FP + FN); `None` if nothing is anomalous and nothing flagged.
    pub fn f1(&self) -> Option<f64> {
        share(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)
    }

    /// Matthews correlation of alerts and labels, (TP·TN − FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN)), −1 to 1; 0 is no better than chance.
    /// `None` if everything or nothing is anomalous, or flagged. Matthews, 1975.
    pub fn matthews(&self) -> Option<f64> {
        let [tp, fp, tn, fn_] =
            [self.true_positives, self.false_positives, self.true_negatives, self.false_negatives].map(|n| n as f64);
        // In pairs, so that a perfect detector has exactly 1: the root of a square is exact.
        let scale = ((tp + fp) * (tp + fn_)).sqrt() * ((tn + fp) * (tn + fn_)).sqrt();
        (scale > 0.0).then(|| ((tp * tn - fp * fn_) / scale).clamp(-1.0, 1.0))
    }

    /// The counts of flagging everything.
    pub fn of_flagging_everything(&self) -> Confusion {
        Confusion { true_positives: self.anomalous(), false_positives: self.normal(), ..Confusion::default() }
    }

    /// Share of anomalous packets: the precision of flagging everything.
    pub fn base_rate(&self) -> Option<f64> {
        share(self.anomalous(), self.anomalous() + self.normal())
    }

    /// How many are anomalous.
    pub fn anomalous(&self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// How many are normal.
    pub fn normal(&self) -> u64 {
        self.true_negatives + self.false_positives
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(alerts: &[(Label, bool)]) -> Confusion {
        let mut confusion = Confusion::default();
        for &(label, flagged) in alerts {
            confusion.add(label, flagged);
        }
        confusion
    }

    #[test]
    fn a_perfect_detector_scores_1() {
        let confusion = counted(&[(Label::Anomalous, true), (Label::Normal, false), (Label::Unknown, true)]);
        assert_eq!(confusion.precision(), Some(1.0));
        assert_eq!(confusion.recall(), Some(1.0));
        assert_eq!(confusion.f1(), Some(1.0));
        assert_eq!(confusion.false_positive_rate(), Some(0.0));
        assert_eq!(confusion.matthews(), Some(1.0));
    }

    #[test]
    fn a_detector_of_opposite_sign_scores_0() {
        let confusion = counted(&[(Label::Anomalous, false), (Label::Normal, true)]);
        assert_eq!(confusion.precision(), Some(0.0));
        assert_eq!(confusion.recall(), Some(0.0));
        assert_eq!(confusion.f1(), Some(0.0));
        assert_eq!(confusion.false_positive_rate(), Some(1.0));
        assert_eq!(confusion.matthews(), Some(-1.0));
    }

    #[test]
    fn alerts_that_know_nothing_of_the_labels_have_no_correlation() {
        let confusion = Confusion { true_positives: 2, false_positives: 6, true_negatives: 12, false_negatives: 4 };
        assert_eq!(confusion.matthews(), Some(0.0));
        let everything = confusion.of_flagging_everything();
        assert_eq!((everything.precision(), everything.recall()), (confusion.base_rate(), Some(1.0)));
        assert_eq!(everything.matthews(), None);
    }

    #[test]
    fn what_is_undefined_is_none() {
        let nothing_anomalous = counted(&[(Label::Normal, false)]);
        assert_eq!(nothing_anomalous.precision(), None);
        assert_eq!(nothing_anomalous.recall(), None);
        assert_eq!(nothing_anomalous.f1(), None);
        assert_eq!(Confusion::default().base_rate(), None);
    }
}
