//! Adding more normal traffic to a bundle, without the captures that it was learned from.

use std::sync::Arc;

use super::accept;
use super::learn::check_once;
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
        check_once(&captures.sources)?;
        data.check_exclusions()?;
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
        decision.accept_only(accept::causes(&self.accepted));
        decision
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::capture::{LinkType, Packet, PcapNgWriter};
    use crate::monitor::{DetectorPlan, Keep, LearnConfig, learn};

    /// A capture of frames from host to host; the tenth byte of the payload says which, and the last counts up from `first`.
    fn captures(first: u64, frames: &[(u8, u8)]) -> Captures {
        let mut file = Vec::new();
        let mut capture = PcapNgWriter::new(&mut file).unwrap();
        let interface = capture.interface(LinkType::ETHERNET, "").unwrap();
        for (number, (from, kind)) in (1..).zip(frames) {
            let count = (first + number) as u8;
            let header = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, *from, 0x88, 0xb8];
            let data = [&header[..], &[7; 9], &[*kind], &[7; 9], &[count]].concat();
            let time_ns = (first + number) as i64 * 100_000_000;
            let link = LinkType::ETHERNET;
            let packet = Packet { number, time_ns, link, interface, wire_length: data.len() as u32, data: &data };
            capture.packet(interface, &packet, "").unwrap();
        }
        capture.finish().unwrap();
        Captures::from_reader("plant.pcapng", Cursor::new(file))
    }

    fn learned(first: u64, frames: &[(u8, u8)]) -> Bundle {
        let config = LearnConfig { detectors: DetectorPlan::defaults(), explain: false, ..LearnConfig::default() };
        learn(captures(first, frames), &config, &()).unwrap().bundle
    }

    fn events(bundle: &Bundle, frames: &[(u8, u8)]) -> Vec<String> {
        let labels = Labels::All(Label::Unknown);
        let detection = bundle.detect(captures(5000, frames), labels, Keep::Events, &()).unwrap();
        detection.events.into_iter().map(|event| event.reason).collect()
    }

    fn numbers(bundle: &Bundle, name: &str) -> crate::named_arrays::NamedArrays {
        let detector = bundle.detectors.fitted.iter().find(|detector| detector.name() == name).unwrap();
        let FittedDetector::Rows(fitted) = detector else { panic!("{name}") };
        fitted.detector().numbers()
    }

    /// What is counted is as if all had been learned at once.
    #[test]
    fn counts_are_those_of_learning_everything_anew() {
        let (first, more) = ([(2, 1); 300], [(3, 1); 300]);
        let further = learned(0, &first).learn_further(captures(300, &more), &[], &()).unwrap().bundle;
        let anew = learned(0, &[first, more].concat());
        for name in ["Novelty", "LengthBackOff"] {
            assert_eq!(numbers(&further, name), numbers(&anew, name), "{name}");
        }
        assert_eq!((further.training_summary.packets, further.decision.blocks()), (600, 20));
    }

    #[test]
    fn what_is_added_is_no_alert_any_more_and_all_else_is_as_before() {
        let bundle = learned(0, &[(2, 1); 400]);
        let new = [(9, 1); 40];
        assert_eq!(events(&bundle, &new).len(), 1);
        let mut further = bundle;
        for round in 0..3 {
            further = further.learn_further(captures(1000 + 40 * round, &new), &[], &()).unwrap().bundle;
        }
        let further = Bundle::from_bytes(&further.to_bytes().unwrap()).unwrap();
        assert!(events(&further, &new).is_empty(), "{:?}", events(&further, &new));
        assert_eq!(events(&further, &[(8, 1); 40]).len(), 1);
        // The constant bytes are still known as such: what breaks them is told, though captures were added three times.
        let closed = |bundle: &Bundle| {
            numbers(bundle, "ClosedPositions").get("closed", &[None, None]).unwrap().values.iter().sum::<f64>()
        };
        assert_eq!(closed(&further), closed(&learned(0, &[(2, 1); 400])));
    }

    #[test]
    fn a_capture_that_was_learned_is_refused() {
        let bundle = learned(0, &[(2, 1); 400]);
        let refusal = bundle.learn_further(captures(0, &[(2, 1); 400]), &[], &()).unwrap_err().to_string();
        assert!(refusal.contains("SHA-256"), "{refusal}");
    }
}
