//! Adding more normal traffic to a bundle, without the captures that it was learned from.

use std::sync::Arc;

use super::left_out::{LeftOutBlocks, LeftOutScores};
use super::training_data::TrainingData;
use super::{Bundle, Detectors, Exclusion, FittedDetector, Learned, PacketScores, TrainingSummary};
use crate::calibration::{BlockMaxima, DecisionRule};
use crate::capture::{CaptureSummary, Captures};
use crate::detectors::{BLOCKS, Samples};
use crate::label::{Label, Labels};
use crate::progress::Progress;
use crate::{Error, Result};

impl Bundle {
    /// Learns more normal traffic.
    ///
    /// Detectors that look at packets one by one count it in: what they know is then what they would have learned from all traffic, but for what is
    /// usual in a service and direction, which the first traffic says. Other detectors and the model stay as they are. The new traffic is divided into blocks as
    /// long as the former ones; their highest scores, each as if its block had not been learned, join those of the former blocks,
    /// which were not scored with the new traffic: so limits are as high as those of learning everything anew, or higher. What was
    /// accepted stays accepted.
    ///
    /// # Errors
    ///
    /// A capture was learned already, the captures have too few packets or cannot be read, or events are to be excluded.
    pub fn learn_further(
        &self,
        mut captures: Captures,
        exclude: &[Exclusion],
        progress: &dyn Progress,
    ) -> Result<Learned> {
        let mut data = TrainingData::new(self.cutting, exclude);
        let skipped = self.cutting.cut(&mut captures, Labels::All(Label::Normal), &mut data, progress)?;
        let captures = captures.into_summary();
        self.check_further(&captures, exclude, &data)?;
        data.divide(self.blocks_of(data.packets()));

        progress.begin("fitting", None);
        let samples = data.packet_samples();
        let (detectors, scores) = self.detectors_further(&data, &samples)?;
        progress.begin("calibrating", None);
        let first_block = self.decision.blocks();
        let blocks =
            LeftOutBlocks { data: &data, samples: &samples, detectors: &detectors, scores: &scores, first_block };
        let decision = self.decision_further(&blocks.maxima()?, first_block + data.blocks().count());
        let left_out = blocks.events(&decision)?;
        let mut detectors = detectors;
        detectors.fitted.iter_mut().for_each(FittedDetector::forget_blocks);

        let former = &self.training_summary;
        let training_summary = TrainingSummary {
            sources: former.sources.iter().chain(&captures.sources).cloned().collect(),
            packets: former.packets.saturating_add(data.packets()),
            excluded: former.excluded.saturating_add(data.excluded),
            seconds: former.seconds + left_out.seconds,
            left_out_events: former.left_out_events.saturating_add(left_out.events.len() as u64),
            ..former.clone()
        };
        let bundle = Bundle { detectors, decision, training_summary, ..self.clone() };
        Ok(Learned { bundle, left_out, skipped, captures })
    }

    fn check_further(&self, captures: &CaptureSummary, exclude: &[Exclusion], data: &TrainingData) -> Result<()> {
        let refuse = |setting, got: String, expected: &str| {
            Err(Error::Setting { setting, got, expected: expected.into(), remedy: None })
        };
        let learned = |sha256: &String| self.training_summary.sources.iter().any(|known| known.sha256 == *sha256);
        if let Some(known) = captures.sources.iter().find(|source| learned(&source.sha256)) {
            let expected = "captures that the bundle was not learned from: this one is among them, by its SHA-256";
            return refuse("capture", known.path.display().to_string(), expected);
        }
        if exclude.iter().any(|exclusion| matches!(exclusion, Exclusion::Event(_))) {
            return refuse("exclusion", "an event".into(), "a host or a time, where traffic is added to a bundle");
        }
        if self.id.is_empty() {
            return refuse("bundle", "of a former version".into(), "one that this version learned");
        }
        match data.packets() {
            packets if packets < u64::from(BLOCKS) => {
                Err(Error::TooLittle { packets, training: packets as usize, validation: 0 })
            }
            _ => Ok(()),
        }
    }

    /// Into how many blocks as long as the former ones so many packets are divided.
    fn blocks_of(&self, packets: u64) -> u32 {
        let of_block = self.training_summary.packets / u64::from(self.decision.blocks());
        (packets / of_block.max(1)).clamp(1, u64::from(BLOCKS)) as u32
    }

    /// The detectors with the new traffic added, and how each scores it as if it were not.
    fn detectors_further(&self, data: &TrainingData, samples: &Samples) -> Result<(Detectors, Vec<LeftOutScores>)> {
        let raises_alerts = |place: usize| self.decision.detectors()[place].raises_alerts();
        let of_fragments = data.scores(&self.detectors, raises_alerts, |_| true)?;
        let (mut fitted, mut scores) = (Vec::new(), Vec::new());
        for (place, (former, rule)) in self.detectors.fitted.iter().zip(self.decision.detectors()).enumerate() {
            let added = match former {
                FittedDetector::Rows(former) if former.is_stream() => {
                    former.fit_further(samples)?.map(|added| FittedDetector::Rows(Arc::new(added)))
                }
                _ => None,
            };
            let of_detector = || {
                let scores = of_fragments.iter().find(|(detector, _)| *detector == place);
                scores.map_or_else(PacketScores::default, |(_, scores)| scores.clone())
            };
            scores.push(match (rule.raises_alerts(), former.is_stream()) {
                (false, _) => LeftOutScores::None,
                (true, true) => LeftOutScores::Stream,
                (true, false) => LeftOutScores::Fitted(of_detector()),
            });
            fitted.push(added.unwrap_or_else(|| former.clone()));
        }
        Ok((Detectors { model: self.detectors.model.clone(), fitted }, scores))
    }

    /// The rule that rests on the former blocks and on new ones.
    fn decision_further(&self, maxima: &[Vec<BlockMaxima>], blocks: u32) -> DecisionRule {
        let of_detector = |(rule, new): (&crate::calibration::DetectorRule, &Vec<BlockMaxima>)| {
            let mut all = rule.maxima().to_vec();
            for (all, new) in all.iter_mut().zip(new) {
                new.iter().for_each(|(cell, block, score)| all.add(cell, block, score));
            }
            (rule.aspects(), all)
        };
        let detectors = self.decision.detectors().iter().zip(maxima).map(of_detector).collect();
        let mut decision = DecisionRule::new(self.decision.scales(), blocks, detectors);
        decision
            .accept_only(self.accepted.iter().flat_map(|event| &event.causes).map(|cause| (cause.cause, cause.up_to)));
        decision
    }
}
